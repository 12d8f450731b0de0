"""Reads hosts that stand in the file exactly as Nmap writes them, by patterns instead of an XML parser.

A host is dozens of tags with attributes, nearly all unlike any other, and a parser that hands each of them to Python
reaches a third of the speed. Nmap writes attributes in a fixed order, so a few patterns cover a whole host. Only what
they match to the last byte is taken; every such host is well-formed, and means to a parser what it means here (a test
compares the two). Anything else gives None, and expat reads it.

All repetition in the patterns is possessive, so that none of them takes more than one pass over a hostile host.
"""

from __future__ import annotations

import re

from services.importer.formats.kit.memo import Memo
from services.importer.formats.kit.xmltext import has_common_references, has_noncharacter, resolved
from services.importer.formats.nmap.report import SCRIPT_ID, SYSTEMS_LIMIT, Group, HostSeen, PortSeen, Script

# No control character: XML forbids most of them, and turns line breaks into spaces.
_VALUE = r'[^"<\x00-\x1f]*+'


def _tag(name: str, attributes: str, close: str = " ?+/>") -> str:
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
    return _tag(name, attributes, rf"(?: ?+/>|>\n?+{_any(*children)}</{name}>)")


_TEXT = r"[^<>\x00-\x08\x0b-\x1f]*+"
_CPE = f"<cpe>{_TEXT}</cpe>"
_ELEM = _tag("elem", "key?", f">{_TEXT}</elem>")
_ROW = _element("table", "key?", _ELEM)
_SCRIPT = _element("script", "id output", _ELEM, _element("table", "key?", _ELEM, _ROW))
_SERVICE = "*name *product? *version? *extrainfo? hostname? ostype? devicetype? servicefp? *tunnel? method conf"
_SYSTEM_CLASS = _element("osclass", "type vendor osfamily osgen? accuracy", _CPE)
_SYSTEM = _element(
    "os",
    "",
    _tag("portused", "state proto portid"),
    _element("osmatch", "name accuracy line", _SYSTEM_CLASS),
    _SYSTEM_CLASS,
    _tag("osfingerprint", "fingerprint"),
)

_HEAD = re.compile(
    r'starttime="\d++" endtime="\d++">\n?+'
    + _tag("status", "*state reason reason_ttl?")
    + rf"\n?+({_any(_tag('address', 'addr addrtype vendor?'))})"
    + rf"(?:<hostnames>\n?+({_any(_tag('hostname', 'name type'))})</hostnames>\n?+|<hostnames/>\n?+)?+"
)
_OTHER_PORTS = re.compile(
    rf"<ports>\n?+{_any(_element('extraports', 'state count', _tag('extrareasons', 'reason count proto? ports?')))}"
)
_PORT = re.compile(
    rf'protocol="({_VALUE})" portid="({_VALUE})">'
    + _tag("state", "*state reason reason_ttl? reason_ip?")
    + rf"(?:{_element('service', _SERVICE, _CPE)})?+({_any(_SCRIPT)})</port>\n?+"
)
_TAIL = re.compile(
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
)

_ADDRESSES = re.compile(_tag("address", "*addr *addrtype", ""))
_HOSTNAMES = re.compile(_tag("hostname", "*name", ""))
_SYSTEMS = re.compile(_tag("osmatch", "*name", ""))
_DEVICES = re.compile(_tag("osclass", "*type", ""))

# What a port takes in memory besides its text.
_PORT_BYTES = 1_000

_VULNERS_TAG = f'<script id="{SCRIPT_ID}"'
_VULNERS = re.compile(rf'<script id="{SCRIPT_ID}" output="({_VALUE})"(?: ?/>|>([^\0]*?)</script>)')
_GROUPS = re.compile(_tag("table", "*key?", rf"(?: ?+/>|>\n?+({_any(_ELEM, _ROW)})</table>)"))
_ROWS = re.compile(_tag("table", "key?", rf"(?: ?+/>|>\n?+({_any(_ELEM)})</table>)"))
_ELEMS = re.compile(_tag("elem", "*key?", f">({_TEXT})</elem>"))


def host_of(raw: bytes, host: HostSeen, ports: Memo[str, PortSeen]) -> bool:
    """Fill `host` from `raw`, which begins after `<host ` and ends with its end tag; False where only a parser can.

    `ports` are those seen before, by their text.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    about = _HEAD.match(text)
    if about is None or not has_common_references(text) or has_noncharacter(text):
        return False
    listed, _, tail = text[about.end() :].rpartition("</ports>")
    if not _TAIL.fullmatch(tail) or _VULNERS_TAG in tail or (listed and not _ports(listed, host, ports)):
        return False
    host.state, addresses, names = about.groups("")
    host.addresses = [(resolved(address), kind) for address, kind in _ADDRESSES.findall(addresses)]
    host.hostnames = [resolved(name) for name in _HOSTNAMES.findall(names)]
    if "<os>" in tail:
        host.systems = [resolved(name) for name in _SYSTEMS.findall(tail)[:SYSTEMS_LIMIT]]
        host.device = next((resolved(device) for device in _DEVICES.findall(tail) if device), "")
    return True


def _ports(listed: str, host: HostSeen, ports: Memo[str, PortSeen]) -> bool:
    others, *pieces = listed.split("<port ")
    if not _OTHER_PORTS.fullmatch(others):
        return False
    for piece in pieces:
        port = ports.get(piece) or _port(piece, ports)
        if port is None:
            return False
        host.ports.append(port)
    return True


def _port(piece: str, ports: Memo[str, PortSeen]) -> PortSeen | None:
    found = _PORT.fullmatch(piece)
    if found is None:
        return None
    values = found.groups("")
    if "&" in piece:
        values = tuple(map(resolved, values[:-1])) + values[-1:]
    port = PortSeen(values[0], values[1], values[2], values[3:8])
    scripts = values[8]
    if _VULNERS_TAG in scripts:
        port.scripts = [_script(text, body) for text, body in _VULNERS.findall(scripts)]
    ports.put(piece, port, len(piece) + _PORT_BYTES)
    return port


def _script(output: str, body: str) -> Script:
    groups = [
        Group(resolved(product), [_row(row) for row in _ROWS.findall(rows)]) for product, rows in _GROUPS.findall(body)
    ]
    return Script(resolved(output), groups)


def _row(elements: str) -> dict[str, str]:
    row = dict(_ELEMS.findall(elements))
    return {resolved(key): resolved(text) for key, text in row.items()} if "&" in elements else row
