"""Entries of a directory, of a twin on this machine that speaks LDAP."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dialects.assets.source_settings import Secrets
from tests.integration.fetcher.directory import Directory, serving
from tests.integration.fetcher.quay import Quay
from tests.integration.test_outbound import certificate_for

BASE = "dc=example,dc=com"
READER = f"cn=reader,{BASE}"


def entry(number: int) -> tuple[str, dict[str, list[bytes]]]:
    name = f"web{number:04}"
    return f"cn={name},{BASE}", {
        "cn": [name.encode()],
        "description": ["Größe".encode(), b"second"],
        "whenCreated": [b"20240229010203.0Z"],
        "objectGUID": [b"printable-bytes!"],
        "userCertificate;binary": [b"abc"],
        "blob": [b"\xff\x00"],
    }


def settings_of(directory: Directory, **more: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": directory.port, "tls": "none", "baseDn": BASE, **more}


@pytest.fixture
def directory() -> Iterator[Directory]:
    with serving() as made:
        made.entries = [entry(number) for number in range(25)]
        made.users = {READER: "reader-secret"}
        yield made


async def test_all_pages_are_read_and_values_have_words_in_json(quay: Quay, directory: Directory) -> None:
    row, landed = await quay.fetch_all("ldap", settings_of(directory, pageSize=10))
    assert row["error_code"] is None
    assert directory.pages == [10, 10, 10]
    assert [each["cn"] for each in landed] == [f"web{n:04}" for n in range(25)]
    assert landed[0] == {
        "dn": f"cn=web0000,{BASE}",
        "cn": "web0000",
        "description": ["Größe", "second"],
        "whenCreated": "2024-02-29T01:02:03Z",
        "objectGUID": "cHJpbnRhYmxlLWJ5dGVzIQ==",
        "userCertificate;binary": "YWJj",
        "blob": "/wA=",
    }


async def test_only_what_is_asked_for_comes(quay: Quay, directory: Directory) -> None:
    _, landed = await quay.fetch_all("ldap", settings_of(directory, attributes=["cn"]))
    assert landed[3] == {"dn": f"cn=web0003,{BASE}", "cn": "web0003"}


async def test_a_page_has_a_thousand_entries_at_most(quay: Quay, directory: Directory) -> None:
    await quay.fetch_all("ldap", settings_of(directory, pageSize=5_000))
    assert directory.pages == [1_000]


async def test_the_password_is_that_of_the_source(quay: Quay, directory: Directory) -> None:
    settings = settings_of(directory, bindDn=READER)
    row, landed = await quay.fetch_all("ldap", settings, Secrets(password="reader-secret"))
    assert (row["error_code"], len(landed)) == (None, 25)
    for wrong in (Secrets(password="other"), Secrets()):
        row, _ = await quay.fetch_all("ldap", settings, wrong)
        assert (row["state"], row["error_code"]) == ("FAILED", "AUTHENTICATION_FAILED")
    assert directory.binds == [(READER, False)] * 2, "nobody binds without a password"


async def test_a_part_of_the_entries_is_not_taken_for_all_of_them(quay: Quay, directory: Directory) -> None:
    directory.most = 20
    row, _ = await quay.fetch_all("ldap", settings_of(directory, pageSize=10))
    assert (row["state"], row["error_code"]) == ("FAILED", "SOURCE_REFUSED")
    assert await quay.stored() == []


async def test_referrals_are_not_followed(quay: Quay, directory: Directory) -> None:
    with serving() as other:
        directory.refers_to = f"ldap://127.0.0.1:{other.port}/{BASE}"
        _, landed = await quay.fetch_all("ldap", settings_of(directory))
        assert len(landed) == 25
        assert (other.binds, other.pages) == ([], [])


@pytest.mark.parametrize("text", ["(cn=*", "(&(cn=a)", "()", "(cn=a)(cn=b)"])
async def test_a_filter_of_a_wrong_syntax_is_not_sent(quay: Quay, directory: Directory, text: str) -> None:
    row, _ = await quay.fetch_all("ldap", settings_of(directory, filter=text))
    assert (row["state"], row["error_code"]) == ("FAILED", "QUERY_INVALID")
    assert directory.pages == []


async def test_a_closed_port_is_tried_again(quay: Quay, directory: Directory) -> None:
    row, _ = await quay.fetch_all("ldap", {**settings_of(directory), "port": 1})
    assert (row["state"], row["retries"]) == ("QUEUED", 1)


async def test_a_private_host_needs_an_exemption(quay: Quay, directory: Directory) -> None:
    row, _ = await quay.fetch_all("ldap", settings_of(directory), exemptions="")
    assert (row["state"], row["error_code"], directory.binds) == ("FAILED", "DESTINATION_FORBIDDEN", [])


@pytest.mark.parametrize("tls", ["ldaps", "startTls"])
async def test_the_certificate_must_be_good_for_the_host(quay: Quay, tmp_path: Path, tls: str) -> None:
    good, other = certificate_for("localhost", tmp_path), certificate_for("other.example", tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(good)
    with serving(context, is_ldaps=tls == "ldaps") as directory:
        directory.entries = [entry(1)]
        directory.users = {READER: "reader-secret"}
        settings = settings_of(directory, bindDn=READER, tls=tls) | {"host": "localhost"}
        # Where this machine has ::1 too, that is refused before the address that serves.
        bounds = {"exemptions": "localhost", "authorities": str(good)}
        said = Secrets(password="reader-secret")
        row, landed = await quay.fetch_all("ldap", settings, said, **bounds)
        assert (row["error_code"], len(landed)) == (None, 1)
        assert directory.binds == [(READER, True)]
        for wrong in ({**bounds, "authorities": str(other)}, {"authorities": str(good)}):
            host = {"host": "127.0.0.1"} if "exemptions" not in wrong else {}
            row, _ = await quay.fetch_all("ldap", settings | host, said, **wrong)
            assert (row["state"], row["error_code"]) == ("FAILED", "TLS_FAILED")
        assert len(directory.binds) == 1, "no password went out"
