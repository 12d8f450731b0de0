"""A directory on this machine that speaks LDAP with simple paged results (RFC 2696), as a twin of a real one.

Messages are read and written by the codec and the ASN.1 types that ldap3 comes with; what is done with them is written
here, for no server in Python that could be taken (ldaptor 21.2) knows that control. It knows no filters but
(objectClass=*) and equality; `make test-ldap` reads a real slapd.
"""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ldap3.protocol.rfc2696 import RealSearchControlValue
from ldap3.protocol.rfc4511 import (
    LDAPDN,
    LDAPOID,
    URI,
    AttributeDescription,
    AttributeValue,
    BindResponse,
    Control,
    Controls,
    ControlValue,
    Criticality,
    ExtendedResponse,
    LDAPMessage,
    LDAPString,
    MessageID,
    PartialAttribute,
    PartialAttributeList,
    ProtocolOp,
    ResultCode,
    SearchResultDone,
    SearchResultEntry,
    SearchResultReference,
    Vals,
)
from pyasn1.codec.ber import decoder, encoder
from pyasn1.error import SubstrateUnderrunError

PAGED_RESULTS = "1.2.840.113556.1.4.319"
START_TLS = "1.3.6.1.4.1.1466.20037"
UNBIND = "unbindRequest"
READ_BYTES = 65_536

Entry = tuple[str, Mapping[str, Sequence[bytes]]]


@dataclass
class Directory:
    """`users` are passwords by DN. `most`: a search gives so many entries, then sizeLimitExceeded."""

    port: int
    entries: list[Entry] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=dict)
    refers_to: str = ""
    most: int = 0
    server_tls: ssl.SSLContext | None = None
    pages: list[int] = field(default_factory=list)
    """How many entries were asked for at once, search by search."""
    binds: list[tuple[str, bool]] = field(default_factory=list)
    """Who has bound, and whether by TLS."""


@contextmanager
def serving(tls: ssl.SSLContext | None = None, *, is_ldaps: bool = False) -> Iterator[Directory]:
    server = _Server(("127.0.0.1", 0), _Session)
    server.directory = directory = Directory(server.server_address[1], server_tls=tls)
    server.is_ldaps = is_ldaps
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield directory
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    directory: Directory
    is_ldaps = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what some tests are about."""


class _Session(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        self._is_secure = False
        if self.server.is_ldaps:
            self._secure()
        data = b""
        while piece := self.request.recv(READ_BYTES):
            data += piece
            while data:
                try:
                    message, data = decoder.decode(data, asn1Spec=LDAPMessage())
                except SubstrateUnderrunError:
                    break
                if not self._take(message):
                    return

    def finish(self) -> None:
        self.request.close()

    def _secure(self) -> None:
        assert self.server.directory.server_tls is not None
        self.request = self.server.directory.server_tls.wrap_socket(self.request, server_side=True)
        self._is_secure = True

    def _take(self, message: Any) -> bool:
        kind = message["protocolOp"].getName()
        body = message["protocolOp"].getComponent()
        if kind == "bindRequest":
            self._bind(message, body)
        elif kind == "extendedReq":
            self._say(message, "extendedResp", _result(ExtendedResponse(), 0))
            self._secure()
        elif kind == "searchRequest":
            self._search(message, body)
        return bool(kind != UNBIND)

    def _bind(self, message: Any, body: Any) -> None:
        name, password = str(body["name"]), str(body["authentication"].getComponent())
        self.server.directory.binds.append((name, self._is_secure))
        is_known = not name or self.server.directory.users.get(name) == password
        self._say(message, "bindResponse", _result(BindResponse(), 0 if is_known else 49))

    def _search(self, message: Any, body: Any) -> None:
        directory = self.server.directory
        size, cookie = _paging(message)
        directory.pages.append(size)
        wanted = [str(each) for each in body["attributes"]]
        start = int(cookie or b"0")
        found = directory.entries[start : start + size]
        for dn, attributes in found:
            self._say(message, "searchResEntry", _entry(dn, attributes, wanted))
        if directory.refers_to:
            reference = SearchResultReference()
            reference.setComponentByPosition(0, URI(directory.refers_to))
            self._say(message, "searchResRef", reference)
        end = start + len(found)
        if directory.most and end >= directory.most:
            self._say(message, "searchResDone", _result(SearchResultDone(), 4))
            return
        following = b"%d" % end if end < len(directory.entries) else b""
        self._say(message, "searchResDone", _result(SearchResultDone(), 0), following)

    def _say(self, asked: Any, name: str, body: Any, cookie: bytes | None = None) -> None:
        message = LDAPMessage()
        message["messageID"] = MessageID(int(asked["messageID"]))
        message["protocolOp"] = ProtocolOp().setComponentByName(name, body)
        if cookie is not None:
            value = RealSearchControlValue()
            value["size"], value["cookie"] = 0, cookie
            control = Control()
            control["controlType"] = LDAPOID(PAGED_RESULTS)
            control["criticality"] = Criticality(False)
            control["controlValue"] = ControlValue(encoder.encode(value))
            message["controls"] = Controls().setComponentByPosition(0, control)
        self.request.sendall(encoder.encode(message))


def _paging(message: Any) -> tuple[int, bytes]:
    for control in message["controls"]:
        if str(control["controlType"]) == PAGED_RESULTS:
            value, _ = decoder.decode(bytes(control["controlValue"]), asn1Spec=RealSearchControlValue())
            return int(value["size"]), bytes(value["cookie"])
    raise AssertionError("no paging was asked for")


def _entry(dn: str, attributes: Mapping[str, Sequence[bytes]], wanted: Sequence[str]) -> Any:
    told = PartialAttributeList()
    names = [each for each in attributes if "*" in wanted or each in wanted]
    for position, name in enumerate(names):
        values = Vals()
        for number, value in enumerate(attributes[name]):
            values.setComponentByPosition(number, AttributeValue(value))
        each = PartialAttribute()
        each["type"], each["vals"] = AttributeDescription(name), values
        told.setComponentByPosition(position, each)
    entry = SearchResultEntry()
    entry["object"], entry["attributes"] = LDAPDN(dn), told
    return entry


def _result(body: Any, code: int) -> Any:
    body["resultCode"] = ResultCode(code)
    body["matchedDN"], body["diagnosticMessage"] = LDAPDN(""), LDAPString("")
    return body
