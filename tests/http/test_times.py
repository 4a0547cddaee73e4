"""Times without a time zone are refused in every query and every body that takes a time."""

from __future__ import annotations

from typing import Any

import turbine

NAIVE = "2026-01-05T12:00:00"
COMPLAINT = f"{NAIVE} has no time zone; write {NAIVE}Z or +02:00"


@turbine.workflow(triggerable=True)
async def job() -> None:
    return None


def takes_time(schema: Any) -> bool:
    return schema.get("format") == "date-time" or any(takes_time(one) for one in schema.get("anyOf", []))


async def test_every_query_that_takes_a_time_refuses_one_without_a_zone(open_site) -> None:
    site = await open_site(job)
    admin = await site.holder("admin")
    described = (await admin.get("openapi.json")).json()["paths"]
    tried = 0
    for path, operations in described.items():
        for parameter in operations.get("get", {}).get("parameters", []):
            if parameter["in"] == "query" and takes_time(parameter["schema"]):
                tried += 1
                route = path.removeprefix("/api/pt/").lstrip("/").replace("{id}", "none")
                answer = await admin.get(route, params={parameter["name"]: NAIVE})
                assert (422, "application/problem+json") == (answer.status_code, answer.headers["content-type"]), route
                (complaint,) = answer.json()["errors"]
                assert {"path": [parameter["name"]], "message": COMPLAINT, "type": "timezone_aware"} == complaint
                zoned = await admin.get(route, params={parameter["name"]: f"{NAIVE}+02:00"})
                assert zoned.status_code in (200, 404), zoned.text
    assert tried >= 10


async def test_every_body_that_takes_a_time_refuses_one_without_a_zone(open_site) -> None:
    site = await open_site(job)
    admin = await site.holder("admin")
    id = (await site.rt.schedules.create(job, "0 3 * * *")).id
    once = {"type": "once", "at": NAIVE}
    bodies: list[tuple[str, str, dict[str, Any], list[str]]] = [
        ("POST", "schedules", {"workflow": "job", "schedule": once}, ["schedule", "at"]),
        ("PATCH", f"schedules/{id}", {"schedule": once}, ["schedule", "at"]),
        ("POST", "schedules/preview", {"schedule": once}, ["schedule", "at"]),
        ("POST", f"schedules/{id}/backfill", {"start": NAIVE, "end": f"{NAIVE}Z"}, ["start"]),
        ("POST", f"schedules/{id}/backfill", {"start": f"{NAIVE}Z", "end": NAIVE}, ["end"]),
        ("POST", "tokens", {"name": "x", "role": "viewer", "expires": NAIVE}, ["expires"]),
        (
            "POST",
            "workflows/bulk",
            {"action": "cancel", "filter": {"created_after": NAIVE}},
            ["filter", "created_after"],
        ),
        (
            "POST",
            "workflows/bulk",
            {"action": "cancel", "filter": {"created_before": NAIVE}},
            ["filter", "created_before"],
        ),
    ]
    for method, route, body, path in bodies:
        answer = await admin.request(method, route, json=body)
        assert (422, "application/problem+json") == (answer.status_code, answer.headers["content-type"]), route
        (complaint,) = answer.json()["errors"]
        assert {"path": path, "message": COMPLAINT, "type": "timezone_aware"} == complaint
        assert COMPLAINT in answer.json()["detail"]
    shapes = (await admin.get("openapi.json")).json()["components"]["schemas"]
    asked = {
        (name, field)
        for name, shape in shapes.items()
        if shape.get("additionalProperties") is False
        for field, schema in shape.get("properties", {}).items()
        if takes_time(schema)
    }
    fields = {path[-1] for _, _, _, path in bodies}
    assert fields == {field for _, field in asked}, "the bodies above are all that take a time"
