"""A run that waits for a person: an approval with a form, an app status in our own words, and a notification.

    python examples/onboarding.py

The gate is a row of its own: it is decided once, by whoever is first, and tells who decided, when, and what was filled
in. People decide in the dashboard, over HTTP, on the command line, or as here in code.
"""

import asyncio
import json
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from pydantic import BaseModel, Field

import turbine


class Equipment(BaseModel):
    """What the approver fills in; the dashboard makes a form of it."""

    laptop: str
    budget: int = Field(ge=0, le=3000)


@turbine.step
async def open_account(name: str) -> str:
    await turbine.set_app_status("opening the account", "blue")
    return f"{name.lower()}@example.org"


@turbine.workflow(tags=["people"], summary=lambda name: f"Onboarding of {name}")
async def onboard(name: str) -> str:
    account = await open_account(name)
    await turbine.send_notification("team", f"{name} starts on Monday: please approve the equipment")
    try:
        decision = await turbine.wait_for_approval(
            f"Equipment for {name}", form=Equipment, details={"account": account}, timeout=timedelta(days=3)
        )
    except turbine.ApprovalTimeout:
        decision = turbine.ApprovalResult(approved=False, comment="nobody decided")
    if not decision.approved:
        await turbine.set_app_status("rejected", "red")
        return f"{account} without equipment: {decision.comment}"
    await turbine.set_app_status("equipped", "green")
    return f"{account} gets a {decision.data.laptop} for {decision.data.budget}, says {decision.by}"


class Chat(BaseHTTPRequestHandler):
    """Stands for the service that tells people."""

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        print("in the chat:", json.loads(self.rfile.read(length))["message"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


async def main() -> None:
    chat = HTTPServer(("127.0.0.1", 0), Chat)
    Thread(target=chat.serve_forever, daemon=True).start()

    async with turbine.Runtime("sqlite://:memory:", workflows=[onboard]) as rt:
        # A channel is a URL for Apprise: slack://…, mailto://…, ntfy://… and a hundred others.
        await rt.alert_channels.create(name="team", url=f"json://127.0.0.1:{chat.server_port}")

        handle = await rt.run(onboard, "Grace")
        await rt.wait_idle()
        status = await handle.status()
        print(status.status, "-", status.app_status, status.app_status_color)
        (gate,) = (await rt.approvals.list(handle.workflow_id)).items
        print(gate.title, gate.details, list(gate.form["properties"]))

        try:
            await rt.approve(handle.workflow_id, data={"laptop": "A14", "budget": 9000}, by="Ada")
        except turbine.ValidationFailed as error:  # the gate stays open
            print(error.errors[0]["path"], error.errors[0]["message"])
        await rt.approve(handle.workflow_id, data={"laptop": "A14", "budget": 1900}, by="Ada")
        print(await handle.result())
        print((await handle.status()).app_status)

        try:
            await rt.approve(handle.workflow_id, False, approval_id=gate.id)
        except turbine.Conflict:
            print("it is decided already")
    chat.shutdown()
    chat.server_close()


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# in the chat: Grace starts on Monday: please approve the equipment
# WAITING_FOR_APPROVAL - waiting for approval yellow
# Equipment for Grace {'account': 'grace@example.org'} ['laptop', 'budget']
# ['budget'] 9000 is greater than the maximum of 3000
# grace@example.org gets a A14 for 1900, says Ada
# equipped
# it is decided already
