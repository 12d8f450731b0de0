from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.assets.source_rules import check_settings
from dialects.assets.source_settings import (
    SECRETS,
    TYPES,
    DatabaseSettings,
    RestSettings,
    Secrets,
    SourceType,
    destination,
    read_secrets,
    read_settings,
    show_settings,
    write_secrets,
)
from runtime.errors import InvalidArgument
from services.importer.assets.import_sources import merge_patch, merged_settings, split_secrets

GOOD: dict[SourceType, dict[str, Any]] = {
    "csv": {"encoding": "Windows-1252", "delimiter": "\t", "quote": ""},
    "json": {"selector": "a.b"},
    "external": {},
    "database": {"dialect": "mysql", "host": "db.example.com", "database": "d", "user": "u", "query": "SELECT 1"},
    "ldap": {"host": "ldap.example.com", "baseDn": "dc=example", "attributes": ["cn", "mail"], "scope": "one"},
    "rest": {
        "url": "https://api.example.com/v1/hosts?active=1",
        "headers": {"X-Region": "eu"},
        "auth": {"kind": "header", "header": "X-Api-Key"},
        "paging": {"kind": "offset", "size": 50},
        "selector": "result.items",
    },
    "custom": {"reader": "vendor", "options": {"depth": 2}},
}


@pytest.mark.parametrize("type_", TYPES)
def test_settings_are_shown_as_they_were_given(type_: SourceType) -> None:
    settings = read_settings(type_, GOOD[type_])
    check_settings(settings)
    assert show_settings(settings) == GOOD[type_]


@pytest.mark.parametrize("type_", TYPES)
def test_unknown_settings_are_refused_by_name(type_: SourceType) -> None:
    with pytest.raises(InvalidArgument) as raised:
        read_settings(type_, {**GOOD[type_], "colour": 1})
    assert raised.value.metadata["field"] == "settings.colour"


def test_unknown_settings_within_others_are_refused_by_name() -> None:
    with pytest.raises(InvalidArgument) as raised:
        read_settings("rest", {"url": "https://example.com", "auth": {"kind": "basic", "colour": 1}})
    assert raised.value.metadata["field"] == "settings.auth.colour"


@pytest.mark.parametrize(
    ("type_", "change", "field"),
    [
        ("csv", {"delimiter": ""}, "settings.delimiter"),
        ("csv", {"delimiter": "\n"}, "settings.delimiter"),
        ("csv", {"quote": "''"}, "settings.quote"),
        ("csv", {"quote": "\t"}, "settings.quote"),
        ("csv", {"multiValueSeparator": "a\0b"}, "settings.multiValueSeparator"),
        ("json", {"selector": "x" * 3_000}, "settings.selector"),
        ("json", {"timeZone": "../../etc/passwd"}, "settings.timeZone"),
        ("json", {"timeZone": ""}, "settings.timeZone"),
        ("database", {"host": "a/b"}, "settings.host"),
        ("database", {"host": "user@db.example.com"}, "settings.host"),
        ("database", {"host": " "}, "settings.host"),
        ("database", {"user": ""}, "settings.user"),
        ("database", {"query": ""}, "settings.query"),
        ("database", {"statementTimeoutSeconds": 0}, "settings.statementTimeoutSeconds"),
        ("ldap", {"pageSize": 0}, "settings.pageSize"),
        ("ldap", {"pageSize": 1_001}, "settings.pageSize"),
        ("ldap", {"attributes": ["a"] * 101}, "settings.attributes"),
        ("rest", {"url": "ftp://example.com"}, "settings.url"),
        ("rest", {"url": "https://example.com/#x"}, "settings.url"),
        ("rest", {"url": "https://exa mple.com"}, "settings.url"),
        ("rest", {"url": "https://["}, "settings.url"),
        ("rest", {"headers": {"a b": "c"}}, "settings.headers.a b"),
        ("rest", {"headers": {"Cookie": "c"}}, "settings.headers.Cookie"),
        ("rest", {"headers": {"X-API-Key": "c"}}, "settings.headers.X-API-Key"),
        ("rest", {"auth": {"kind": "header", "header": "Transfer-Encoding"}}, "settings.auth.header"),
        ("rest", {"headers": {"X-A": "c\r\nHost: evil"}}, "settings.headers.X-A"),
        ("rest", {"auth": {"kind": "header"}}, "settings.auth.header"),
        ("rest", {"auth": {"kind": "basic"}}, "settings.auth.username"),
        ("rest", {"auth": {"kind": "bearer", "username": "u"}}, "settings.auth.username"),
        ("rest", {"body": {"a": 1}}, "settings.body"),
        ("rest", {"paging": {"kind": "page", "size": 5}}, "settings.paging.size"),
        ("rest", {"paging": {"kind": "offset", "size": 0}}, "settings.paging.size"),
        ("rest", {"paging": {"kind": "cursor", "selector": ""}}, "settings.paging.selector"),
        ("rest", {"paging": {"kind": "cursor", "selector": "."}}, "settings.paging.selector"),
        ("custom", {"reader": ""}, "settings.reader"),
        ("custom", {"options": {"a": "x" * 2_000, "b": ["y" * 2_000] * 8}}, "settings.options"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(type_: SourceType, change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        check_settings(read_settings(type_, GOOD[type_] | change))
    assert (raised.value.reason, raised.value.metadata["field"]) == ("INVALID_SETTINGS", field)


@pytest.mark.parametrize("dialect", ["mssql", "oracle"])
def test_a_kind_of_database_without_a_driver_is_refused_before_it_is_kept(dialect: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        check_settings(read_settings("database", GOOD["database"] | {"dialect": dialect}))
    assert (raised.value.reason, raised.value.metadata["field"]) == ("DRIVER_MISSING", "settings.dialect")


@pytest.mark.parametrize("type_", TYPES)
def test_no_secret_has_a_place_among_the_settings(type_: SourceType) -> None:
    for path in SECRETS[type_]:
        nested: Any = "s3cret"
        for step in reversed(path):
            nested = {step: nested}
        with pytest.raises(InvalidArgument) as raised:
            read_settings(type_, merge_patch(GOOD[type_], nested))
        assert "s3cret" not in raised.value.message


def test_secrets_are_taken_out_of_the_settings() -> None:
    said = {"url": "https://example.com", "auth": {"kind": "basic", "username": "u", "password": "p", "token": None}}
    public, secrets = split_secrets("rest", said)
    assert public == {"url": "https://example.com", "auth": {"kind": "basic", "username": "u"}}
    assert secrets == {"password": "p", "token": None}
    assert said["auth"]["password"] == "p"  # type: ignore[index]  # what was given stays as it is


def test_secrets_survive_sealing_and_none_is_nothing() -> None:
    secrets = Secrets(password="p", values={"key": "k"})
    assert read_secrets(write_secrets(secrets)) == secrets
    assert write_secrets(Secrets()) == ""


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ({"host": "DB.example.com"}, False),
        ({"table": "other", "query": None}, False),
        ({"host": "evil.example.com"}, True),
        ({"port": 1}, True),
        ({"tls": "require"}, True),
        ({"dialect": "postgresql"}, True),
    ],
)
def test_secrets_stay_with_their_destination(change: dict[str, Any], moves: bool) -> None:
    stored, secrets = GOOD["database"], Secrets(password="p")
    if not moves:
        assert merged_settings("database", stored, secrets, change)[1] == secrets
        return
    with pytest.raises(InvalidArgument) as raised:
        merged_settings("database", stored, secrets, change)
    assert raised.value.reason == "SECRETS_REQUIRED"
    for password in ("new", None):
        public, kept = merged_settings("database", stored, secrets, {**change, "password": password})
        assert (public["host"], kept.password) == (change.get("host", stored["host"]), password or "")


def test_every_secret_must_be_given_again() -> None:
    stored = {"url": "https://a.example", "auth": {"kind": "basic", "username": "u"}}
    said = {"url": "https://b.example", "auth": {"password": "new"}}
    with pytest.raises(InvalidArgument) as raised:
        merged_settings("rest", stored, Secrets(password="p", token="t"), said)
    assert raised.value.reason == "SECRETS_REQUIRED"


def test_a_secret_that_is_no_text_is_refused_without_it() -> None:
    with pytest.raises(InvalidArgument) as raised:
        merged_settings("custom", {}, Secrets(), {"reader": "vendor", "secrets": {"key": 12345}})
    assert raised.value.reason == "INVALID_SETTINGS"
    assert "12345" not in str(raised.value.metadata) + raised.value.message


@pytest.mark.parametrize("token", ["tok\r\nHost: evil.example", "s3cret\n", " s3cret", "tök", "a\0b"])
def test_a_token_that_no_header_takes_is_refused_without_it(token: str) -> None:
    said = {"url": "https://api.example.com", "auth": {"kind": "header", "header": "X-Api-Key", "token": token}}
    with pytest.raises(InvalidArgument) as raised:
        merged_settings("rest", {}, Secrets(), said)
    assert raised.value.metadata == {"field": "settings.auth.token"}
    assert token.strip() not in raised.value.message
    with pytest.raises(InvalidArgument):
        merged_settings("database", {}, Secrets(), GOOD["database"] | {"password": "a\0b"})


def test_the_destination_of_an_api_is_its_host_and_how_it_is_told_who_asks() -> None:
    here = read_settings("rest", GOOD["rest"])
    assert isinstance(here, RestSettings)
    same = read_settings("rest", GOOD["rest"] | {"url": "https://api.example.com/v2"})
    other = read_settings("rest", GOOD["rest"] | {"auth": {"kind": "header", "header": "X-Debug"}})
    assert destination(here) == destination(same) != destination(other)


def test_integers_may_come_as_texts_of_nothing_else() -> None:
    for wrong in ("5432", 1.5, True):
        with pytest.raises(InvalidArgument):
            read_settings("database", GOOD["database"] | {"port": wrong})
    read = read_settings("database", GOOD["database"] | {"port": 5432})
    assert isinstance(read, DatabaseSettings)
    assert read.port == 5432


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(sorted(TYPES)), st.dictionaries(st.text(max_size=10), JSON, max_size=5))
def test_whatever_is_said_is_taken_or_refused_with_a_member(type_: SourceType, said: dict[str, Any]) -> None:
    refused: InvalidArgument | None = None
    try:
        merged_settings(type_, {}, Secrets(), said)
    except InvalidArgument as error:
        refused = error
    assert refused is None or refused.reason == "INVALID_SETTINGS"
    assert refused is None or refused.metadata["field"].startswith("settings")


@given(JSON.filter(lambda each: isinstance(each, dict)), st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_a_patch_says_what_holds(stored: dict[str, Any], said: dict[str, Any]) -> None:
    merged = merge_patch(stored, said)
    assert merge_patch(merged, said) == merged
    assert all(name not in merged for name, value in said.items() if value is None)
