"""Reads the entries of a directory by LDAP, page by page. Referrals are not followed."""

from __future__ import annotations

import base64
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from ldap3 import ALL_ATTRIBUTES, AUTO_BIND_NONE, BASE, LEVEL, NONE, SIMPLE, SUBTREE, SYNC, Connection, Server, Tls
from ldap3.core.exceptions import (
    LDAPAttributeError,
    LDAPBindError,
    LDAPExceptionError,
    LDAPInvalidDnError,
    LDAPInvalidFilterError,
    LDAPInvalidScopeError,
    LDAPObjectClassError,
    LDAPResponseTimeoutError,
    LDAPSocketOpenError,
    LDAPSocketReceiveError,
    LDAPStartTLSError,
)

from dialects.assets.source_settings import LdapSettings, Secrets
from services.fetcher.failures import SourceError, broken, not_authenticated, refused, timed_out, tls_failed
from services.fetcher.way import Way

SCOPES = {"base": BASE, "one": LEVEL, "sub": SUBTREE}
PAGED_RESULTS = "1.2.840.113556.1.4.319"
LARGEST_PAGE = 1_000
MOST_PAGES = 1_000_000
DN = "dn"
# Result codes of RFC 4511.
SUCCESS, TIME_LIMIT, SIZE_LIMIT, REFERRAL, ADMIN_LIMIT = 0, 3, 4, 10, 11
BUSY = (51, 52)
NOT_AUTHENTICATED = (7, 8, 48, 49, 50)
QUERY_CODES = (17, 18, 21, 32, 34)
# Whose bytes could pass for text.
BINARY = frozenset(
    {"objectguid", "objectsid", "jpegphoto", "thumbnailphoto", "photo", "usercertificate", "cacertificate", "audio"}
)
GENERALIZED_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)?(\d\d)?(?:[.,](\d{1,9}))?(Z|[+-]\d{2}(?:\d{2})?)")


class PinnedServer(Server):  # type: ignore[misc]
    """Is connected to at addresses that were checked, under its name, which its certificate must have."""

    def __init__(self, host: str, port: int, addresses: Sequence[str], **options: Any) -> None:
        super().__init__(host, port=port, get_info=NONE, allowed_referral_hosts=[], **options)
        self._pinned = addresses

    @property
    def address_info(self) -> list[list[Any]]:
        """As getaddrinfo says it, with the two columns that ldap3 adds."""
        return [
            [
                socket.AF_INET6 if ":" in each else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (each, self.port),
                None,
                None,
            ]
            for each in self._pinned
        ]


def read(settings: LdapSettings, secrets: Secrets, way: Way) -> Iterator[dict[str, Any]]:
    """The entries, as {attribute: text or array of texts} with their name as `dn`. Raises SourceError."""
    connection = _connection(settings, secrets, way)
    try:
        _open(connection, settings)
        yield from _entries(connection, settings)
    except LDAPExceptionError as error:
        raise _failure(error) from None
    finally:
        if connection.socket is not None:
            # Without a word to the server; ldap3 itself leaves a socket open whose connection was refused.
            connection.socket.close()


def _connection(settings: LdapSettings, secrets: Secrets, way: Way) -> Connection:
    is_ldaps = settings.tls == "ldaps"
    port = settings.port or (636 if is_ldaps else 389)
    host = settings.host.strip("[]")
    tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=way.authorities, sni=host)
    server = PinnedServer(
        host,
        port,
        way.addresses(settings.host, port),
        use_ssl=is_ldaps,
        tls=None if settings.tls == "none" else tls,
        connect_timeout=way.connect_seconds,
    )
    if settings.bind_dn and not secrets.password:
        # Many servers take it for a bind of nobody, and answer what nobody may see.
        raise not_authenticated()
    return Connection(
        server,
        user=settings.bind_dn or None,
        password=secrets.password or None,
        authentication=SIMPLE if settings.bind_dn else None,
        client_strategy=SYNC,
        auto_bind=AUTO_BIND_NONE,
        auto_referrals=False,
        read_only=True,
        receive_timeout=max(1, int(way.idle_seconds)),
        check_names=False,
        auto_range=True,
    )


def _open(connection: Connection, settings: LdapSettings) -> None:
    connection.open(read_server_info=False)
    if settings.tls == "startTls":
        # The name and the password come after it.
        connection.start_tls(read_server_info=False)
    if not connection.bind(read_server_info=False):
        raise _refusal(connection.result)


def _entries(connection: Connection, settings: LdapSettings) -> Iterator[dict[str, Any]]:
    cookie: bytes | None = None
    page_size = min(settings.page_size, LARGEST_PAGE)
    for _ in range(MOST_PAGES):
        connection.search(
            search_base=settings.base_dn,
            search_filter=settings.filter,
            search_scope=SCOPES[settings.scope],
            attributes=list(settings.attributes) or ALL_ATTRIBUTES,
            paged_size=page_size,
            paged_cookie=cookie,
        )
        result = connection.result
        if result["result"] != SUCCESS:
            raise _refusal(result)
        for entry in connection.response or ():
            if entry["type"] == "searchResEntry":
                yield row_of(entry["dn"], entry["raw_attributes"])
        seen, cookie = cookie, _cookie(result)
        if not cookie:
            return
        if cookie == seen and not connection.response:
            raise SourceError("PAGING_LOOP", "The directory gives the same empty page again and again.")
    raise SourceError("PAGING_LOOP", f"The directory has more than {MOST_PAGES} pages.")


def _cookie(result: Mapping[str, Any]) -> bytes | None:
    control = (result.get("controls") or {}).get(PAGED_RESULTS)
    cookie: bytes | None = control["value"]["cookie"] if control else None
    return cookie


def row_of(dn: str, attributes: Mapping[str, Sequence[bytes]]) -> dict[str, Any]:
    """An attribute of one value is that value, of several an array; what is no text is base64."""
    row: dict[str, Any] = {DN: dn}
    for name, values in attributes.items():
        if values:
            told = [value_of(name, each) for each in values]
            row[name] = told[0] if len(told) == 1 else told
    return row


def value_of(name: str, value: bytes) -> str:
    """A time (RFC 4517 §3.3.13) as ISO 8601, UTC."""
    bare, *options = name.lower().split(";")
    try:
        text = "" if bare in BINARY or "binary" in options else value.decode()
    except UnicodeDecodeError:
        text = ""
    if value and (not text or "\0" in text):
        return base64.b64encode(value).decode()
    return iso_time(text) or text


def iso_time(text: str) -> str | None:
    """None for what is no generalized time."""
    found = GENERALIZED_TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    if fraction and not second:
        # Of an hour or a minute: allowed, and never seen.
        return None
    shift = timedelta()
    if zone != "Z":
        shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5] or 0)) * (-1 if zone[0] == "-" else 1)
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute or 0), int(second or 0), tzinfo=timezone(shift)
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    told = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{told}.{fraction}Z" if fraction and fraction.strip("0") else f"{told}Z"


def _refusal(result: Mapping[str, Any]) -> SourceError:
    code, word = result["result"], result["description"]
    if code in NOT_AUTHENTICATED:
        return not_authenticated()
    if code in QUERY_CODES:
        return SourceError("QUERY_INVALID", f"The directory refuses the search: {word}.")
    if code == TIME_LIMIT:
        return timed_out("The search took longer than the directory allows.")
    if code in {SIZE_LIMIT, ADMIN_LIMIT}:
        # A part of the entries would look like all of them.
        return SourceError("SOURCE_REFUSED", f"The directory gives only a part of the entries: {word}.")
    if code == REFERRAL:
        return SourceError("SOURCE_REFUSED", "The directory refers to another server, which is not followed.")
    if code in BUSY:
        return broken("The directory is busy.")
    return SourceError("SOURCE_REFUSED", f"The directory refuses: {word}.")


def _failure(error: LDAPExceptionError) -> SourceError:
    if isinstance(error, LDAPInvalidFilterError | LDAPInvalidDnError | LDAPInvalidScopeError):
        return SourceError("QUERY_INVALID", "The filter or the base DN has a wrong syntax (RFC 4515, RFC 4514).")
    if isinstance(error, LDAPAttributeError | LDAPObjectClassError):
        return SourceError("QUERY_INVALID", "The directory does not know one of the attributes.")
    if isinstance(error, LDAPBindError):
        return not_authenticated()
    words = str(error).lower()
    if isinstance(error, LDAPStartTLSError) or "ssl" in words or "certificate" in words:
        return tls_failed()
    if isinstance(error, LDAPResponseTimeoutError) or "timed out" in words:
        return timed_out()
    if isinstance(error, LDAPSocketOpenError):
        return refused()
    if isinstance(error, LDAPSocketReceiveError):
        return broken()
    return broken()
