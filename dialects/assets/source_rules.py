"""What a JSON Schema of the settings of sources could not say: hosts, URLs, headers, sizes."""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from dialects.assets.source_settings import (
    CsvSettings,
    CursorPaging,
    CustomSettings,
    DatabaseSettings,
    LdapSettings,
    OffsetPaging,
    PagePaging,
    Paging,
    RestSettings,
    Secrets,
    Settings,
    invalid_settings,
)
from runtime.errors import InvalidArgument

LONGEST = 2_048
LONGEST_QUERY = 100_000
MOST_ITEMS = 100
MOST_OPTIONS_BYTES = 16 * 1024
HIGHEST_PORT = 65_535
LARGEST_PAGE = 1_000
"""MaxPageSize of Active Directory, and the usual limit elsewhere: servers refuse more, or give less without a word."""
WITHOUT_DRIVER = frozenset({"mssql", "oracle"})
"""Kinds of databases that have a name here and that no fetcher can read (docs/sources.md)."""
# The fetcher's own.
OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
# Where credentials are sent; they belong into `auth`, for what stands here is shown.
CREDENTIAL_HEADERS = frozenset(
    {
        *("authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "apikey", "x-auth-token"),
        *("x-access-token", "x-auth-key", "private-token", "x-vault-token"),
    }
)
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


def check_settings(settings: Settings) -> None:
    """Raises InvalidArgument INVALID_SETTINGS with the member that is wrong, DRIVER_MISSING for a kind of database."""
    _check_texts("settings", msgspec.to_builtins(settings))
    _check_time_zone(settings.time_zone)
    match settings:
        case CsvSettings():
            _check_csv(settings)
        case DatabaseSettings():
            _check_database(settings)
        case LdapSettings():
            _check_ldap(settings)
        case RestSettings():
            _check_rest(settings)
        case CustomSettings():
            _check_custom(settings)
        case _:
            pass  # Their members are checked by their types.


def check_secrets(secrets: Secrets) -> None:
    """Raises InvalidArgument INVALID_SETTINGS for a token that no header takes; what it is stands in no message."""
    if not secrets.token.isascii() or not secrets.token.isprintable() or secrets.token != secrets.token.strip():
        raise invalid_settings("settings.auth.token", "It has white space around it, or characters that no header has.")
    for member, text in (("password", secrets.password), *secrets.values.items()):
        if "\0" in text:
            raise invalid_settings(f"settings.{member}", "It must not contain a NUL character.")


def _check_texts(path: str, value: Any) -> None:
    """Whatever stands there can be kept, and is of a size that a person might write."""
    match value:
        case str():
            if "\0" in value:
                raise invalid_settings(path, "It must not contain a NUL character.")
            if len(value) > (LONGEST_QUERY if path == "settings.query" else LONGEST):
                raise invalid_settings(path, f"It is longer than {LONGEST} characters.")
        case float():
            if not math.isfinite(value):
                raise invalid_settings(path, "It is no number.")
        case dict():
            _check_count(path, len(value))
            for name, each in value.items():
                _check_texts(path, name)
                _check_texts(f"{path}.{name}", each)
        case list() | tuple():
            _check_count(path, len(value))
            for number, each in enumerate(value):
                _check_texts(f"{path}[{number}]", each)


def _check_count(path: str, count: int) -> None:
    if count > MOST_ITEMS:
        raise invalid_settings(path, f"It has more than {MOST_ITEMS} members.")


def _check_time_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid_settings("settings.timeZone", "There is no such time zone.") from None


def _check_csv(settings: CsvSettings) -> None:
    if len(settings.delimiter) != 1 or settings.delimiter in "\r\n":
        raise invalid_settings("settings.delimiter", "It must be one character, and no line break.")
    if len(settings.quote) > 1 or settings.quote in {"\r", "\n"}:
        raise invalid_settings("settings.quote", "It must be one character, and no line break.")
    if settings.quote == settings.delimiter:
        raise invalid_settings("settings.quote", "It must differ from the delimiter.")


def _check_database(settings: DatabaseSettings) -> None:
    if settings.dialect in WITHOUT_DRIVER:
        message = f"settings.dialect: Databases of the kind {settings.dialect} cannot be read."
        raise InvalidArgument("DRIVER_MISSING", message, field="settings.dialect")
    _check_host(settings.host, settings.port)
    for member in ("database", "user"):
        _check_given(member, getattr(settings, member))
    if bool(settings.table.strip()) == bool(settings.query.strip()):
        raise invalid_settings("settings.query", "Either a table or a query is needed.")
    _check_range("statementTimeoutSeconds", settings.statement_timeout_seconds, 1, 3_600)


def _check_ldap(settings: LdapSettings) -> None:
    _check_host(settings.host, settings.port)
    _check_range("pageSize", settings.page_size, 1, LARGEST_PAGE)
    if not (settings.filter.startswith("(") and settings.filter.endswith(")")):
        raise invalid_settings("settings.filter", "It must stand in parentheses (RFC 4515).")


def _check_rest(settings: RestSettings) -> None:
    _check_url(settings.url)
    for name, value in settings.headers.items():
        _check_header(f"settings.headers.{name}", name)
        if not value.isprintable() or not value.isascii():
            raise invalid_settings(f"settings.headers.{name}", "It has characters that no header has.")
    if settings.body and settings.method != "POST":
        raise invalid_settings("settings.body", "Only POST has a body.")
    auth = settings.auth
    if auth.kind == "basic":
        _check_given("auth.username", auth.username)
    elif auth.username:
        raise invalid_settings("settings.auth.username", "Only basic has a user name.")
    if auth.kind == "header":
        if not HEADER_NAME.fullmatch(auth.header) or auth.header.lower() in OWN_HEADERS:
            raise invalid_settings("settings.auth.header", "It must be the name of a header.")
    elif auth.header:
        raise invalid_settings("settings.auth.header", "Only the kind header names one.")
    _check_paging(settings.paging)


def _check_paging(paging: Paging) -> None:
    if isinstance(paging, PagePaging | OffsetPaging):
        least = 1 if isinstance(paging, OffsetPaging) else 0
        _check_range("paging.size", paging.size, least, 100_000)
        if bool(paging.size) != bool(paging.size_parameter) and isinstance(paging, PagePaging):
            raise invalid_settings("settings.paging.size", "Size and sizeParameter belong together.")
    if isinstance(paging, PagePaging | OffsetPaging | CursorPaging):
        _check_given("paging.parameter", paging.parameter)
    if isinstance(paging, CursorPaging):
        _check_given("paging.selector", paging.selector.replace(".", " "))


def _check_custom(settings: CustomSettings) -> None:
    _check_given("reader", settings.reader)
    if len(msgspec.json.encode(settings.options)) > MOST_OPTIONS_BYTES:
        raise invalid_settings("settings.options", f"They may have {MOST_OPTIONS_BYTES} bytes at most, as JSON.")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise invalid_settings("settings.url", "It must be a URL with http:// or https://.")
    if "@" in parts.netloc:
        raise invalid_settings("settings.url", "It must not have a user name or a password; they belong into auth.")
    if parts.fragment:
        raise invalid_settings("settings.url", "It must not have a fragment.")


def _check_header(path: str, name: str) -> None:
    if not HEADER_NAME.fullmatch(name):
        raise invalid_settings(path, "There is no header of such a name.")
    if name.lower() in OWN_HEADERS | CREDENTIAL_HEADERS:
        raise invalid_settings(path, "This header cannot be set here; credentials belong into auth.")


def _check_host(host: str, port: int) -> None:
    _check_given("host", host)
    if any(letter in "/@?#\\" or letter.isspace() for letter in host):
        raise invalid_settings("settings.host", "It must be a host name or an address, and nothing else.")
    _check_range("port", port, 0, HIGHEST_PORT)


def _check_given(member: str, value: str) -> None:
    if not value.strip():
        raise invalid_settings(f"settings.{member}", "It is required.")


def _check_range(member: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise invalid_settings(f"settings.{member}", f"It must be {least} to {most}.")
