"""Secrets do not come out with the errors of items."""

from __future__ import annotations

import random
import string

import pytest

from services.importer.engine.child import _rejected, describe
from services.importer.formats.kit.format import Position, RecordError
from services.importer.formats.kit.redaction import MARK, SEEN_CHARACTERS, SHOWN_CHARACTERS, redacted, shown_value

NAMES = (
    "password",
    "Password",
    "db_password",
    "passwd",
    "pwd",
    "PASSPHRASE",
    "pass",
    "secret",
    "client_secret",
    "AWS_SECRET_ACCESS_KEY",
    "token",
    "accessToken",
    "x-auth-token",
    "api_key",
    "apiKey",
    "API key",
    "x-api-key",
    "private_key",
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
    "session_id",
    "sid",
    "signature",
    "X-Amz-Signature",
    "credentials",
    "connection string",
    "community",
)
PLACES = (
    "{name}={secret}",
    "{name}: {secret}",
    "{name} : {secret} and more",
    "{name} = '{secret}'",
    '{name}="{secret}" port="99999"',
    '"{name}": "{secret}"',
    r"\"{name}\":\"{secret}\"",
    "{{'{name}' => '{secret}'}}",
    "<{name}>{secret}</{name}>",
    "<{name}>\n  {secret}\n</{name}>",
    '<pref value="{secret}" name="{name}"/>',
    "https://host.example/path?user=x&{name}={secret}&port=1",
    "{name}[0]={secret}",
    "{name}:\n    {secret}",
    "{name}: |\n  {secret}\n  {secret}",
    "{name} {secret}",
    "--{name} {secret}",
    "{secret} is the {name}",
    "the {name} is {secret}",
    "{name}%3D{secret}",
    "{name}&quot;:&quot;{secret}&quot;",
    "{name}_{secret}: x",
    "{name}: Basic {secret}",
)
ALPHABETS = (
    string.ascii_letters + string.digits,
    string.hexdigits.lower(),
    string.digits,
    string.ascii_lowercase,
    string.ascii_letters + string.digits + "+/=_-.~",
    string.ascii_letters + string.digits + "!@#$%^&*()[]{}<>\"'`|;:,?",
)


def secrets_of(rng: random.Random) -> str:
    return "".join(rng.choices(rng.choice(ALPHABETS), k=rng.randint(20, 120)))


def pieces(secret: str, size: int = 16) -> set[str]:
    return {secret[at : at + size] for at in range(len(secret) - size + 1)}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", PLACES)
def test_no_secret_beside_a_name_that_speaks_of_one_comes_out(name: str, place: str) -> None:
    rng = random.Random(f"{name} {place}")
    for _ in range(20):
        secret = secrets_of(rng)
        before = " ".join(rng.choices(("the", "host", "42", "was", "seen\n"), k=rng.randint(0, 8)))
        text = f"{before} {place.format(name=name, secret=secret)}"
        for shown in (redacted(text), shown_value(text, "port"), shown_value(secret, name)):
            assert not [piece for piece in pieces(secret) if piece in shown], (text, shown)
            assert MARK[:5] in shown or len(before) > SHOWN_CHARACTERS - len(MARK)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=hunter2", "password=[redacted]"),
        ("password: correct horse battery staple", "password: [redacted]"),
        ("Authorization: Bearer abc", "Authorization: [redacted]"),
        ("Cookie: a=b; c=d\nHost: example.org", "Cookie: [redacted]\nHost: example.org"),
        ("curl -H 'X: Basic dXNlcjpwYXNz'", "curl -H 'X: Basic [redacted]"),
        ("ftp://bob:pw@host.example/x", "ftp://[redacted]@host.example/x"),
        ("a -----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY----- b", "a [redacted] b"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\ncut off here", "[redacted]"),
        ("see eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln here", "see [redacted] here"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        ("the key is 9f86d081884c7d659a2feaa0c55ad015", "the key is [redacted]"),
    ],
)
def test_what_is_a_secret_is_taken_out_and_the_rest_stays(text: str, shown: str) -> None:
    assert redacted(text).rstrip("'") == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "99999",
        "plugin-12",
        "Weak password policy on the host",
        "The port is not a number from 0 to 65535.",
        "passed: true",
        "bypass: possible",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "https://host.example/a/rather/long/path/without/anything",
        "/NessusClientData_v2/Report/ReportHost",
        "keyboard: German",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text
    assert shown_value(text, "pluginID") == text


def test_a_value_of_a_field_that_holds_secrets_is_never_shown() -> None:
    assert shown_value("x", "Password") == MARK
    assert shown_value("", "Password") == ""
    assert shown_value("9f86d081884c7d659a2feaa0c55ad015", "ssh host key") == MARK
    assert shown_value("9f86d081884c7d659a2feaa0c55ad015", "sha key") == MARK


def test_a_value_is_cut_after_its_secrets_are_out() -> None:
    assert shown_value("x" * 10_000) == "x" * SHOWN_CHARACTERS
    secret = "".join(random.Random(1).choices(string.ascii_letters, k=60))
    shown = shown_value(f"{'a ' * 90}password={secret}")
    assert len(shown) <= SHOWN_CHARACTERS
    assert not [piece for piece in pieces(secret, 8) if piece in shown]


def test_of_a_text_without_end_only_the_beginning_is_looked_at() -> None:
    assert redacted("a " * 1_000_000) == "a " * (SEEN_CHARACTERS // 2)


def test_an_error_leaves_the_parser_without_secrets_in_value_and_message() -> None:
    secret = "AbCdEfGhIjKlMnOpQrStUvWxYz012345"
    error = RecordError("INVALID_PORT", "port", f"The port token={secret} is no number.", f"password={secret}")
    rejected = _rejected(7, describe(Position(12, 345, "/a/b")), error)
    assert (rejected.ordinal, rejected.position, rejected.field) == (7, "line 12, byte 345, /a/b", "port")
    assert (rejected.message, rejected.value) == ("The port token=[redacted]", "password=[redacted]")
