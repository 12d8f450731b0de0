"""Reads hosts that stand in the file exactly as Nmap writes them, by patterns instead of an XML parser.

A host is dozens of tags with attributes, nearly all unlike any other, and a parser that hands each of them to Python reaches a
third of the speed. Nmap writes attributes in a fixed order, so a few patterns cover a whole host. Only what they match to the
last byte is taken; every such host is well-formed, and means to a parser what it means here (a test compares the two). Anything
else gives None, and expat reads it.

All repetition in the patterns is possessive, so that none of them takes more than one pass over a hostile host.
"""

from __future__ import annotations

import re

from services.importer.formats.kit.encoding import is_tidy
from services.importer.formats.kit.memo import Memo
from services.importer.formats.kit.xmltext import has_common_references, referenced_text
from services.importer.formats.nmap.report import SCRIPT_ID, SYSTEMS_LIMIT, Group, HostSeen, PortSeen, Script

_VALUE = r'[^"<\t\n]*+'


def _tag(name: str, attributes: str, close: str = "/>") -> str:
    """A pattern of a tag with these attributes in this order: `name?` may be missing, `*name` is captured."""
    parts = []
    for attribute in attributes.split():
        bare = attribute.strip("*?")
        value = f"({_VALUE})" if attribute.startswith("*") else _VALUE
        parts.append(f'(?: {bare}="{value}")?+' if attribute.endswith("?") else f' {bare}="{value}"')
    return f"<{name}{''.join(parts)}{close}"


def _any(*patterns: str) -> str:
    """A pattern of any number of these, each with or without a line break after it."""
    return rf"(?:(?:{'|'.join(patterns)})\n?+)*+"


def _element(name: str, attributes: str, *children: str) -> str:
    """A pattern of an element that is empty or holds any number of these children."""
    return _tag(name, attributes, rf"(?:/>|>\n?+{_any(*children)}</{name}>)")


_TEXT = "[^<>]*+"
_CPE = f"<cpe>{_TEXT}</cpe>"
_ELEM = _tag("elem", "key?", f">{_TEXT}</elem>")
_ROW = _element("table", "key?", _ELEM)
_SCRIPT = _element("script", "id output", _ELEM, _element("table", "key?", _ELEM, _ROW))
_SERVICE = "*name *product? *version? *extrainfo? hostname? ostype? devicetype? servicefp? *tunnel? method conf"
_SYSTEM = _element(
    "os",
    "",
    _tag("portused", "state proto portid"),
    _element("osmatch", "name accuracy line", _element("osclass", "type vendor osfamily osgen? accuracy", _CPE)),
    _tag("osfingerprint", "fingerprint"),
)

_HEAD = re.compile(
    (
        r'starttime="\d++" endtime="\d++">\n?+'
        + _tag("status", "*state reason reason_ttl?")
        + rf"\n?+({_any(_tag('address', 'addr addrtype vendor?'))})"
        + rf"(?:<hostnames>\n?+({_any(_tag('hostname', 'name type'))})</hostnames>\n?+|<hostnames/>\n?+)?+"
    ).encode()
)
_OTHER_PORTS = re.compile(
    rf"\n?+{_any(_element('extraports', 'state count', _tag('extrareasons', 'reason count proto? ports?')))}".encode()
)
_PORT = re.compile(
    (
        rf'protocol="({_VALUE})" portid="({_VALUE})">'
        + _tag("state", "*state reason reason_ttl? reason_ip?")
        + rf"(?:{_element('service', _SERVICE, _CPE)})?+({_any(_SCRIPT)})</port>\n?+"
    ).encode()
)
_TAIL = re.compile(
    (
        r"\n?+"
        + _any(
            _SYSTEM,
            _tag("uptime", "seconds lastboot"),
            _tag("distance", "value"),
            _tag("tcpsequence", "index difficulty values"),
            _tag("ipidsequence", "class values"),
            _tag("tcptssequence", "class values?"),
            _element("hostscript", "", _SCRIPT),
            _element("trace", "port? proto?", _tag("hop", "ttl ipaddr? rtt? host?")),
            _tag("times", "srtt rttvar to"),
        )
        + "</host>"
    ).encode()
)

_ADDRESSES = re.compile(_tag("address", "*addr *addrtype", "").encode())
_HOSTNAMES = re.compile(_tag("hostname", "*name", "").encode())
_SYSTEMS = re.compile(_tag("osmatch", "*name", "").encode())
_DEVICES = re.compile(_tag("osclass", "*type", "").encode())

_VULNERS_TAG = f'<script id="{SCRIPT_ID}"'.encode()
_VULNERS = re.compile(rf'<script id="{SCRIPT_ID}" output="({_VALUE})"(?:/>|>([^\0]*?)</script>)')
_GROUPS = re.compile(_tag("table", "*key?", rf"(?:/>|>\n?+({_any(_ELEM, _ROW)})</table>)"))
_ROWS = re.compile(_tag("table", "key?", rf"(?:/>|>\n?+({_any(_ELEM)})</table>)"))
_ELEMS = re.compile(_tag("elem", "*key?", f">({_TEXT})</elem>"))


def host_of(raw: bytes, host: HostSeen, ports: Memo[bytes, PortSeen]) -> bool:
    """Fill `host` from `raw`, which begins after `<host ` and ends with its end tag; False where only a parser can.

    `ports` are those seen before, by their bytes.
    """
    if b"\r" in raw or not is_tidy(raw) or not has_common_references(raw):
        return False
    head, _, rest = raw.partition(b"<ports>")
    listed, _, tail = rest.partition(b"</ports>")
    if not rest:
        # Without ports, what follows the names is the tail.
        names = _HEAD.match(raw)
        head, tail = (raw[: names.end()], raw[names.end() :]) if names else (raw, b"")
    about, end = _HEAD.fullmatch(head), _TAIL.fullmatch(tail)
    if about is None or end is None or _VULNERS_TAG in tail:
        return False
    others, *pieces = listed.split(b"<port ")
    if not _OTHER_PORTS.fullmatch(others):
        return False
    for piece in pieces:
        port = ports.get(piece) or _port(piece, ports)
        if port is None:
            return False
        host.ports.append(port)
    state, addresses, names_listed = about.groups()
    host.state = referenced_text(state)
    host.addresses = [(referenced_text(address), kind.decode()) for address, kind in _ADDRESSES.findall(addresses)]
    host.hostnames = [referenced_text(name) for name in _HOSTNAMES.findall(names_listed or b"")]
    if b"<os>" in tail:
        host.systems = [referenced_text(name) for name in _SYSTEMS.findall(tail)[:SYSTEMS_LIMIT]]
        host.device = next((referenced_text(device) for device in _DEVICES.findall(tail) if device), "")
    return True


def _port(piece: bytes, ports: Memo[bytes, PortSeen]) -> PortSeen | None:
    found = _PORT.fullmatch(piece)
    if found is None:
        return None
    *simple, scripts = found.groups(b"")
    protocol, number, state, *service = map(referenced_text, simple)
    port = PortSeen(protocol, number, state, tuple(service))
    if _VULNERS_TAG in scripts:
        port.scripts = [_script(text, body) for text, body in _VULNERS.findall(scripts.decode())]
    ports.put(piece, port, len(piece))
    return port


def _script(output: str, body: str) -> Script:
    groups = [
        Group(_plain(product), [{_plain(key): _plain(text) for key, text in _ELEMS.findall(row)} for row in _ROWS.findall(rows)])
        for product, rows in _GROUPS.findall(body)
    ]
    return Script(_plain(output), groups)


def _plain(text: str) -> str:
    return referenced_text(text.encode()) if "&" in text else text
