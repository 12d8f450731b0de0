"""Passwords and hashes are taken out, what is said about them stays."""

from __future__ import annotations

import time

import pytest

from services.importer.formats.kit.credentials import shown_field, without_credentials

NT = "8846f7eaee8fb117ad06bdd830b7586c"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("kim::EXAMPLE:1122334455667788:" + NT + ":0101", "kim::EXAMPLE:[redacted]"),
        (f"kim:1001:aad3b435b51404eeaad3b435b51404ee:{NT}:::", "kim:1001:[redacted]:[redacted]:::"),
        (f"cracked {NT} of kim", "cracked [redacted] of kim"),
        ("root:$6$salt$aBcDeFgH.:19000", "root:[redacted]"),
        ("$krb5tgs$23$*svc$EXAMPLE.COM$http/web*$aabb$ccdd", "[redacted]"),
        ("Password: Summer, 2024!", "Password: [redacted]"),
        ("User: kim, Password: Summer 2024!, Domain: EXAMPLE", "User: kim, Password: [redacted], Domain: EXAMPLE"),
        (
            '{"user": "kim", "cleartext": "a b", "host": "ws1"}',
            '{"user": "kim", "cleartext": [redacted], "host": "ws1"}',
        ),
        ("NTLM hash = abc\nnext line", "NTLM hash = [redacted]\nnext line"),
        ("run --password=Summer2024", "run --password=[redacted]"),
    ],
)
def test_secrets_are_taken_out(text: str, left: str) -> None:
    assert without_credentials(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "The password policy asks for eight characters, and passwords are not checked against lists.",
        "Pass the hash works where NTLM is on.",
        "5f00000000000000000000a1 at 192.0.2.10:445 costs $5 or $20",
        "fe80::1 and 2001:db8::8:800",
        "11111111-0000-4000-8000-000000000001",
    ],
)
def test_prose_addresses_and_ids_stay(text: str) -> None:
    assert without_credentials(text) == text


def test_a_name_for_a_secret_hides_its_value() -> None:
    assert shown_field("user_password", "x") == "[redacted]"
    assert shown_field("ntHash", "x") == "[redacted]"
    assert shown_field("password", "") == ""
    assert shown_field("owner", "Kim") == "Kim"


@pytest.mark.parametrize(
    "text", ["a" * 300_000 + "::", "a::" * 100_000, "password: " * 40_000, "password:, a" * 30_000, "$6$" * 100_000]
)
def test_time_is_bounded(text: str) -> None:
    begun = time.process_time()
    without_credentials(text)
    assert time.process_time() - begun < 2
