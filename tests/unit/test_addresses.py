"""Which addresses webhooks may reach."""

import ipaddress
import socket

import pytest

from turbine.delivery.addresses import AddressRefused, check_literal, is_public, literal, resolve


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101", "172.15.0.1", "100.128.0.1"]
)
def test_addresses_of_the_public_internet_may_be_reached(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:1.1.1.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:101:101::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_inside_or_of_no_internet_may_not(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1.", "[::1]", "::1", "fe80::1%lo"],
)
def test_an_inward_address_is_recognised_in_every_spelling(host: str) -> None:
    with pytest.raises(AddressRefused, match="not on the public internet"):
        check_literal(host)


@pytest.mark.parametrize("host", ["localhost", "example.com", "127.0.0.1.example.com", "1.2.3.4.5", "0xfg"])
def test_a_name_is_judged_only_when_it_is_resolved(host: str) -> None:
    check_literal(host)

    assert literal(host) is None


async def test_a_name_that_leads_inward_is_refused_unless_that_is_allowed() -> None:
    with pytest.raises(AddressRefused, match="localhost leads to"):
        await resolve("localhost", 80, allow_private=False)

    assert {"127.0.0.1", "::1"} & set(await resolve("localhost", 80, allow_private=True))


async def test_one_inward_address_among_others_spoils_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, port: int, *_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("1.1.1.1", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    with pytest.raises(AddressRefused, match=r"leads to 10\.0\.0\.1"):
        await resolve("mixed.example", 443, allow_private=False)
