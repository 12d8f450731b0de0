from __future__ import annotations

import pytest

from services.importer.formats.kit.addresses import Place, is_hostname, place


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.1", Place("192.0.2.1")),
        (" host.example.com:8443 ", Place("host.example.com", 8443, "tcp")),
        ("192.0.2.1:53/UDP", Place("192.0.2.1", 53, "udp")),
        ("2001:db8::1", Place("2001:db8::1")),
        ("[2001:db8::1]:443", Place("2001:db8::1", 443, "tcp")),
        ("https://app.example.com/a?b=1", Place("app.example.com", 443, "tcp", "https://app.example.com/a?b=1")),
        ("other://app.example.com", Place("app.example.com", 0, "", "other://app.example.com")),
        ("192.0.2.1:70000", Place("192.0.2.1:70000")),
        ("192.0.2.0/24", Place("192.0.2.0/24")),
        ("Printer in the hall: left", Place("Printer in the hall: left")),
        ("", Place("")),
    ],
)
def test_what_people_write_for_an_asset(text: str, found: Place) -> None:
    assert place(text) == found


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("host.example.com", True), ("host.example.com.", True), ("host", False), ("192.0.2.1", False), ("a b.c", False)],
)
def test_names_of_hosts(text: str, is_one: bool) -> None:
    assert is_hostname(text) is is_one
