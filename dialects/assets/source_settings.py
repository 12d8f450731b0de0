"""How the sources of each type are reached and read: their settings, typed, and the secrets that belong to them.

Settings are kept and shown as they are. Secrets are kept sealed, and shown to nobody; in a body they stand among the
settings, at the places that SECRETS names. Members are in camelCase.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from runtime.errors import InvalidArgument

SourceType = Literal["csv", "json", "external", "database", "ldap", "rest", "custom"]
"""Where the data of a source comes from."""
EXTERNAL: SourceType = "external"
"""Clients send the data of a run while it is open."""
FILE_TYPES: frozenset[SourceType] = frozenset({"csv", "json"})
"""An uploaded file is the one input of a run."""
FETCHED_TYPES: tuple[SourceType, ...] = ("database", "ldap", "rest", "custom")
"""The fetcher lands the inputs of a run."""


class _Settings(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """What all of them share: members in camelCase, none that nobody knows."""


class _SourceSettings(_Settings, frozen=True):
    """`time_zone` (IANA) is that of times which name none."""

    time_zone: str = "UTC"


class CsvSettings(_SourceSettings, frozen=True):
    """An uploaded table with a header. No `quote`: quotes have no meaning."""

    encoding: Literal["UTF-8", "UTF-16", "ISO-8859-1", "ISO-8859-15", "Windows-1250", "Windows-1252"] = "UTF-8"
    delimiter: str = ","
    quote: str = '"'
    multi_value_separator: str = "||"


class JsonSettings(_SourceSettings, frozen=True):
    """An uploaded document. `selector` is the dotted path that the selectors of the mapping begin at."""

    selector: str = ""


class ExternalSettings(_SourceSettings, frozen=True):
    """A client sends the data."""


class DatabaseSettings(_SourceSettings, frozen=True, kw_only=True):
    """The rows of a table (`name` or `schema.name`), or of one query that only reads. `port` 0: the usual one.

    `verify` is TLS with a certificate that is good for the host.
    """

    dialect: Literal["postgresql", "mysql", "mariadb", "mssql", "oracle"]
    host: str
    port: int = 0
    database: str
    user: str
    table: str = ""
    query: str = ""
    tls: Literal["disable", "require", "verify"] = "verify"
    statement_timeout_seconds: int = 300


class LdapSettings(_SourceSettings, frozen=True, kw_only=True):
    """The entries of a directory. `port` 0: the usual one. No `bind_dn`: anonymous; no `attributes`: all."""

    host: str
    port: int = 0
    tls: Literal["none", "startTls", "ldaps"] = "ldaps"
    base_dn: str
    bind_dn: str = ""
    filter: str = "(objectClass=*)"
    scope: Literal["base", "one", "sub"] = "sub"
    attributes: tuple[str, ...] = ()
    page_size: int = 500


class RestAuth(_Settings, frozen=True):
    """`basic` has a user name and a password, `bearer` a token, `header` a token in the header of that name."""

    kind: Literal["none", "basic", "bearer", "header"] = "none"
    username: str = ""
    header: str = ""


class NoPaging(_Settings, frozen=True, tag_field="kind", tag="none"):
    """One answer has it all."""


class PagePaging(_Settings, frozen=True, tag_field="kind", tag="page"):
    """Pages have numbers; the one with no records is behind the last."""

    parameter: str = "page"
    first: int = 1
    size_parameter: str = ""
    size: int = 0


class OffsetPaging(_Settings, frozen=True, tag_field="kind", tag="offset"):
    """Records are counted from 0; the page with none is behind the last. A server may give fewer than `size`."""

    parameter: str = "offset"
    size_parameter: str = "limit"
    size: int = 100


class CursorPaging(_Settings, frozen=True, tag_field="kind", tag="cursor"):
    """Each answer has the cursor of the next one at `selector`: a text or a number; the last has none, "" or null.

    The first answer must have the member, or another one would look like the end, unless it is `optional`: for servers
    that leave it out when one page is all.
    """

    parameter: str = "cursor"
    selector: str = "next"
    optional: bool = False


class LinkPaging(_Settings, frozen=True, tag_field="kind", tag="link"):
    """Each answer names the next one in its header Link (RFC 8288), `rel="next"`, on the same host."""


Paging: TypeAlias = NoPaging | PagePaging | OffsetPaging | CursorPaging | LinkPaging


class RestSettings(_SourceSettings, frozen=True, kw_only=True):
    """The answers of an HTTP API in JSON. `selector` is the dotted path of the array of records in each of them.

    A `body` (of POST) is sent as JSON.
    """

    url: str
    method: Literal["GET", "POST"] = "GET"
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}
    auth: RestAuth = RestAuth()
    paging: Paging = NoPaging()
    selector: str = ""


class CustomSettings(_SourceSettings, frozen=True, kw_only=True):
    """What a reader gives that is installed at the fetcher under this name, with these options."""

    reader: str
    options: dict[str, Any] = {}


Settings: TypeAlias = (
    CsvSettings | JsonSettings | ExternalSettings | DatabaseSettings | LdapSettings | RestSettings | CustomSettings
)


class Secrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is sealed. `values` are those of a custom reader."""

    password: str = ""
    token: str = ""
    values: dict[str, str] = {}


TYPES: Mapping[SourceType, type[Settings]] = {
    "csv": CsvSettings,
    "json": JsonSettings,
    "external": ExternalSettings,
    "database": DatabaseSettings,
    "ldap": LdapSettings,
    "rest": RestSettings,
    "custom": CustomSettings,
}
SECRETS: Mapping[SourceType, Mapping[tuple[str, ...], str]] = {
    "csv": {},
    "json": {},
    "external": {},
    "database": {("password",): "password"},
    "ldap": {("password",): "password"},
    "rest": {("auth", "password"): "password", ("auth", "token"): "token"},
    "custom": {("secrets",): "values"},
}
"""Where a secret stands among the settings of a body, and the member of `Secrets` that it is."""

WRONG_MEMBER = re.compile(r"^(?P<message>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
UNKNOWN_MEMBER = re.compile(r"unknown field `(?P<name>[^`]*)`")


def read_settings(type_: SourceType, members: Mapping[str, Any]) -> Settings:
    """Settings without secrets, of the right shape. InvalidArgument INVALID_SETTINGS names the member that is wrong."""
    try:
        return msgspec.convert(members, TYPES[type_])
    except msgspec.ValidationError as error:
        raise _wrong_shape(str(error)) from None


def read_secrets(text: str) -> Secrets:
    """Of what was sealed."""
    return msgspec.json.decode(text, type=Secrets)


def write_secrets(secrets: Secrets) -> str:
    """What is sealed; "" where there is none."""
    return "" if secrets == Secrets() else msgspec.json.encode(secrets).decode()


def show_settings(settings: Settings) -> dict[str, Any]:
    """As JSON, with every member that differs from what is usual."""
    shown: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(settings))
    return shown


def destination(settings: Settings) -> tuple[str, ...]:
    """Who gets to see the secrets. What differs here must not be sent those that were given for another."""
    match settings:
        case DatabaseSettings():
            return (settings.dialect, settings.host.lower(), str(settings.port), settings.tls)
        case LdapSettings():
            return (settings.host.lower(), str(settings.port), settings.tls)
        case RestSettings():
            parts = urlsplit(settings.url)
            return (parts.scheme, parts.netloc.lower(), settings.auth.kind, settings.auth.header.lower())
        case CustomSettings():
            return (settings.reader, msgspec.json.encode(settings.options, order="sorted").decode())
        case _:
            return ()


def invalid_settings(member: str, message: str) -> InvalidArgument:
    return InvalidArgument("INVALID_SETTINGS", f"{member}: {message}", field=member)


def _wrong_shape(text: str) -> InvalidArgument:
    found = WRONG_MEMBER.match(text)
    message, path = (found["message"], found["path"] or "") if found else (text, "")
    if unknown := UNKNOWN_MEMBER.search(message):
        return invalid_settings(f"settings{path}.{unknown['name']}", "There is no such setting.")
    return invalid_settings(f"settings{path}", message)
