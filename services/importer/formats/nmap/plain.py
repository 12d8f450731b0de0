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
from services.importer.formats.nmap.findings import Findings, Row
from services.importer.formats.nmap.listing import SCRIPT_ID, listing_in
from services.importer.formats.nmap.report import SYSTEMS_LIMIT, Group, HostSeen, PortSeen, Script, Service

# No control character: XML forbids most of them, and turns line breaks into spaces.
_VALUE = r'[^"<\x00-\x1f]*+'
_LITERAL = r'[^"<&\x00-\x1f]*+'


def _tag(name: str, attributes: str, close: str = " ?+/>") -> str:
    """A pattern of a tag with these attributes in this order.

    `name?` may be missing, `*name` is captured, `=name` has no references.
    """
    parts = []
    for attribute in attributes.split():
        bare = attribute.strip("*=?")
        value = {"*": f"({_VALUE})", "=": _LITERAL}.get(attribute[0], _VALUE)
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
_SCRIPT = _element("script", "=id output", _ELEM, _element("table", "key?", _ELEM, _ROW))
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

_ADDRESS = _tag("address", "addr addrtype vendor?")
_HOSTNAME = _tag("hostname", "name type")
# The first address and name are captured on their own: mostly there are no others, and to search for them takes longer.
_HEAD = re.compile(
    r'starttime="\d++" endtime="\d++">\n?+'
    + _tag("status", "*state reason reason_ttl?")
    + rf"\n?+(?:{_tag('address', '*addr *addrtype vendor?')}\n?+)?+({_any(_ADDRESS)})"
    + rf"(?:<hostnames>\n?+(?:{_tag('hostname', '*name type')}\n?+)?+({_any(_HOSTNAME)})</hostnames>\n?+"
    + r"|<hostnames/>\n?+)?+"
)
_OTHER_PORTS = re.compile(
    rf"<ports>\n?+{_any(_element('extraports', 'state count', _tag('extrareasons', 'reason count proto? ports?')))}"
)
_PORT = re.compile(rf'protocol="({_VALUE})" portid="({_VALUE})">')
_ABOUT_PORT = re.compile(
    _tag("state", "*state reason reason_ttl? reason_ip?") + rf"(?:{_element('service', _SERVICE, _CPE)})?+"
)
_ONE_SCRIPT = re.compile(rf"{_SCRIPT}\n?+")
_PORT_END = "</port>"
_TAIL = re.compile(
    rf"\n?+(?P<system>{_SYSTEM})?+\n?+"
    + _any(
        _tag("uptime", "seconds lastboot"),
        _tag("distance", "value"),
        _tag("tcpsequence", "index difficulty values"),
        _tag("ipidsequence", "class values"),
        _tag("tcptssequence", "class values?"),
    )
    + rf"(?P<scripts>{_element('hostscript', '', _SCRIPT)})?+\n?+"
    + _any(_element("trace", "port? proto?", _tag("hop", "ttl ipaddr? rtt? host?")), _tag("times", "srtt rttvar to"))
    + "</host>"
)

_ADDRESSES = re.compile(_tag("address", "*addr *addrtype", ""))
_HOSTNAMES = re.compile(_tag("hostname", "*name", ""))
_SYSTEMS = re.compile(_tag("osmatch", "*name", ""))
_DEVICES = re.compile(_tag("osclass", "*type", ""))

# What a port takes in memory besides its text.
_PORT_BYTES = 800
_KNOWN_BYTES = 6 << 20
_SEEN_ONCE = 10_000
# What a script takes, once it is read, for each byte of it.
_SCRIPT_TIMES = 5

_SCRIPT_BEGIN = "<script "
_VULNERS_TAG = f'<script id="{SCRIPT_ID}"'
_VULNERS = re.compile(rf'<script id="{SCRIPT_ID}" output="({_VALUE})"( ?+/>|>)')
_GROUPS = re.compile(_tag("table", "*key?", rf"(?: ?+/>|>\n?+({_any(_ELEM, _ROW)})</table>)"))
_ELEMS = re.compile(_tag("elem", "*key?", f">({_TEXT})</elem>"))


class Plain:
    """Reads plain hosts, and remembers ports, services and scripts that were seen before, by their text."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        # By the text of the whole port where it has no script, else by what stands before its scripts: the same text is
        # well-formed in one of these places only.
        self._ports: Memo[str, PortSeen] = Memo(_KNOWN_BYTES)
        self._heads: Memo[str, PortSeen] = Memo(_KNOWN_BYTES)
        self._services: Memo[str, Service] = Memo(_KNOWN_BYTES)
        self._scripts: Memo[str, Script] = Memo(_KNOWN_BYTES)
        self._seen_once = set[int]()

    def host(self, raw: bytes) -> HostSeen | None:
        """The host in `raw`, which begins after `<host ` and ends with its end tag; None where only a parser can."""
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            return None
        about = _HEAD.match(text)
        if about is None or not has_common_references(text) or has_noncharacter(text):
            return None
        begin, end = about.end(), text.rfind("</ports>")
        tail = _TAIL.fullmatch(text, begin if end < 0 else end + len("</ports>"))
        if tail is None or (tail["scripts"] and _VULNERS_TAG in tail["scripts"]):
            return None
        host = HostSeen(self._findings)
        if end >= 0 and not self._read_ports(text[begin:end], host):
            return None
        state, address, kind, addresses, name, names = about.groups()
        host.state = resolved(state)
        host.addresses = [] if address is None else [(resolved(address), resolved(kind))]
        if addresses:
            host.addresses += [(resolved(each), resolved(kind)) for each, kind in _ADDRESSES.findall(addresses)]
        host.hostnames = [] if name is None else [resolved(name)]
        if names:
            host.hostnames += map(resolved, _HOSTNAMES.findall(names))
        if system := tail["system"]:
            host.systems = [resolved(name) for name in _SYSTEMS.findall(system)[:SYSTEMS_LIMIT]]
            host.device = next((resolved(device) for device in _DEVICES.findall(system) if device), "")
        return host

    def _read_ports(self, listed: str, host: HostSeen) -> bool:
        others, *pieces = listed.split("<port ")
        if not _OTHER_PORTS.fullmatch(others):
            return False
        recall = self._ports.get
        for piece in pieces:
            port = recall(piece) or self._port(piece, host)
            if port is None:
                return False
            host.ports.append(port)
        return True

    def _port(self, piece: str, host: HostSeen) -> PortSeen | None:
        content, closing, rest = piece.partition(_PORT_END)
        if not closing or rest.strip("\n"):
            return None
        head, *pieces = content.split(_SCRIPT_BEGIN)
        if not pieces:
            return self._bare_port(self._ports, piece, content)
        scripts = []
        for each in pieces:
            script = _SCRIPT_BEGIN + each
            if script.startswith(_VULNERS_TAG):
                if (seen := self._scripts.get(script) or self._script(script)) is None:
                    return None
                scripts.append(seen)
            elif not _ONE_SCRIPT.fullmatch(script):
                return None
        # What other scripts say is nearly always unlike any other, and not kept: the rest is what may have been seen.
        port = self._heads.get(head) or self._bare_port(self._heads, head, head)
        if port is not None and scripts:
            host.port_scripts.append((port, scripts))
        return port

    def _bare_port(self, known: Memo[str, PortSeen], key: str, head: str) -> PortSeen | None:
        where = _PORT.match(head)
        if where is None:
            return None
        about = head[where.end() :]
        service = self._services.get(about) or self._service(about)
        if service is None:
            return None
        port = PortSeen(resolved(where[1]), resolved(where[2]), service)
        known.put(key, port, len(key) + _PORT_BYTES)
        return port

    def _script(self, text: str) -> Script | None:
        if listing := listing_in(text):
            script = Script("", [], listing._replace(product=resolved(listing.product)))
        elif _ONE_SCRIPT.fullmatch(text):
            script = _vulners(text)
        else:
            return None
        # A script that is seen once is nearly always unlike any other, and then the least memory is the quickest.
        if (once := hash(text)) in self._seen_once:
            self._scripts.put(text, script, _SCRIPT_TIMES * len(text))
        else:
            if len(self._seen_once) >= _SEEN_ONCE:
                self._seen_once.clear()
            self._seen_once.add(once)
        return script

    def _service(self, about: str) -> Service | None:
        found = _ABOUT_PORT.fullmatch(about)
        if found is None:
            return None
        service = Service(tuple(map(resolved, found.groups(""))))
        self._services.put(about, service, len(about) + _PORT_BYTES)
        return service


def _vulners(text: str) -> Script:
    """The output of the script in text that the patterns have matched, so that simple cuts are enough."""
    found = _VULNERS.match(text)
    output, end = found.groups() if found else ("", "")
    body = text[found.end() : text.find("</script>", found.end())] if found and end == ">" else ""
    groups = [
        Group(resolved(product), [_row(row) for row in rows.split("<table")[1:]])
        for product, rows in _GROUPS.findall(body)
    ]
    # The text repeats the tables.
    return Script("" if groups else resolved(output), groups)


def _row(elements: str) -> Row:
    row = dict(_ELEMS.findall(elements))
    return {resolved(key): resolved(text) for key, text in row.items()} if "&" in elements else row
