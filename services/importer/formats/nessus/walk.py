"""Reads Nessus reports (`NessusClientData_v2`) item by item.

An item is one `ReportItem`, or a host that has none. The definition of a plugin is repeated for every host it fires on:
it is kept once and shared by its items, so that the record made of it is one object, and its bytes are not parsed
again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.importer.formats.kit.format import ByteStream, Item, Position
from services.importer.formats.kit.fragments import Fragments
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.memo import Memo
from services.importer.formats.kit.walking import items
from services.importer.formats.kit.xml import Attributes, XmlReader
from services.importer.formats.kit.xmltext import plain_text
from services.importer.formats.nessus.report import Definition, Host, ReportItem

ROOT = "NessusClientData_v2"

_ITEM_PATH = f"{ROOT}/Report/ReportHost/ReportItem"
_HOST_PATH = f"{ROOT}/Report/ReportHost"

# What is said about one host only. Everything else is the definition.
_OF_THE_HOST = frozenset(
    {
        "attachment",
        "cm:compliance-actual-value",
        "cm:compliance-error",
        "cm:compliance-policy-value",
        "cm:compliance-uname",
    }
)
# The host properties that `read` uses; a host may have thousands of others.
_TAGS = frozenset(
    {
        "host-fqdn",
        "host-fqdns",
        "host-ip",
        "host-rdns",
        "hostname",
        "mac-address",
        "netbios-name",
        "operating-system",
        "os",
        "system-type",
    }
)
_TAG_LIMIT = 1 << 16
_COMPLIANCE_FAMILY = "Policy Compliance"
_OLD_CHECK = re.compile(r'\s{0,9}"(.{1,1000}?)"\s{0,9}:\s{0,9}\[(\w{1,20})\]', re.DOTALL)

_KNOWN_BYTES = 8 << 20

# A start tag as Nessus writes it. The first three attributes tell where, the others what.
_WHERE = re.compile(rb'port="(\d{1,5})" svc_name="([ !#-%\'-;=?-~]*)" protocol="([ !#-%\'-;=?-~]*)" ')
_OUTPUT, _OUTPUT_END = b"<plugin_output>", b"</plugin_output>"


def sniff(head: bytes) -> bool:
    return xml_root(head)[0] == ROOT


def walk(stream: ByteStream) -> Iterator[Item]:
    report = _Report(stream)
    return items(report.reader, report.ready, Fragments(report.reader, b"ReportItem", report))


class _Report:
    """The state of one pass: the host and the item that are open, and the definitions seen lately."""

    def __init__(self, stream: ByteStream) -> None:
        self.ready: list[Item] = []
        self.reader = XmlReader(
            stream,
            frozenset({ROOT}),
            starts={
                "Policy": self._policy,
                "ReportHost": self._host_begins,
                "tag": self._tag_begins,
                "ReportItem": self._item_begins,
            },
            ends={"ReportHost": self._host_ends, "tag": self._tag_ends, "ReportItem": self._item_ends},
            default_end=self._child_ends,
        )
        self._host: Host | None = None
        self._host_position = Position()
        self._tag = ""
        self._open: Attributes | None = None
        self._item_position = Position()
        self._children: list[tuple[str, str]] = []
        self._has_items = False
        self._definitions: Memo[tuple[str, ...], Definition] = Memo(_KNOWN_BYTES)
        self._fragments: Memo[bytes, tuple[Definition, tuple[tuple[str, str], ...]]] = Memo(_KNOWN_BYTES)
        self._key = b""
        self._made: ReportItem | None = None

    # Handlers.

    def _policy(self, attributes: Attributes) -> None:
        self.reader.skip()

    def _host_begins(self, attributes: Attributes) -> None:
        self._host_position = self.reader.begin_record(_HOST_PATH)
        self.reader.end_record()
        self._host = Host(attributes.get("name", ""))
        self._has_items = False

    def _tag_begins(self, attributes: Attributes) -> None:
        self._tag = attributes.get("name", "")

    def _tag_ends(self, text: str) -> None:
        if self._host is not None and self._open is None and self._tag in _TAGS:
            self._host.tags.setdefault(self._tag, text[:_TAG_LIMIT])

    def _host_ends(self, text: str) -> None:
        if self._host is not None and not self._has_items:
            self._give(ReportItem(self._host, None), self._host_position)
        self._host = None

    def _item_begins(self, attributes: Attributes) -> None:
        self._item_position = self.reader.begin_record(_ITEM_PATH)
        self._open = attributes
        self._children = []

    def _child_ends(self, name: str, text: str) -> None:
        if self._open is not None:
            self._children.append((name, text))

    def _item_ends(self, text: str) -> None:
        self.reader.end_record()
        attributes, self._open = self._open, None
        if attributes is None or self._host is None:
            return
        shared, own = parted(attributes, self._children)
        output = "\n".join(value for name, value in own if name == "plugin_output")
        raw = ReportItem(
            self._host,
            self._definition(attributes, shared),
            attributes.get("port", ""),
            attributes.get("svc_name", ""),
            attributes.get("protocol", ""),
            output,
            tuple(pair for pair in own if pair[0] != "plugin_output"),
        )
        self._give(raw, self._item_position)

    def _definition(self, attributes: Attributes, shared: list[tuple[str, str]]) -> Definition:
        names = "pluginID", "pluginName", "pluginFamily", "severity"
        told = tuple(attributes.get(name, "") for name in names)
        key = (*told, *(part for pair in shared for part in pair))
        known = self._definitions.get(key)
        if known is None:
            known = Definition(told, tuple(shared))
            self._definitions.put(key, known, sum(map(len, key)))
        return known

    def _give(self, raw: ReportItem, position: Position) -> None:
        if self.reader.notes:
            raw.notes = tuple(self.reader.notes)
            self.reader.notes.clear()
        self._has_items = True
        self._made = raw
        self.ready.append(Item(raw, position))

    # What is known by heart.

    def is_expecting(self) -> bool:
        return self._host is not None and self._open is None

    def recall(self, fragment: bytes) -> bool:
        self._made = None
        self._key = b""
        where = _WHERE.match(fragment)
        if where is None:
            return False
        begin = fragment.find(_OUTPUT, where.end()) + len(_OUTPUT)
        end = fragment.find(_OUTPUT_END, begin)
        if begin < len(_OUTPUT) or end < 0:
            begin = end = len(fragment)
        self._key = fragment[where.end() : begin] + fragment[end:]
        known = self._fragments.get(self._key)
        output = plain_text(fragment[begin:end]) if known is not None else None
        if known is None or output is None or self._host is None:
            return False
        port, service, protocol = where[1].decode(), where[2].decode(), where[3].decode()
        raw = ReportItem(self._host, known[0], port, service, protocol, output, known[1])
        self._give(raw, self.reader.position(_ITEM_PATH))
        return True

    def learn(self, fragment: bytes) -> None:
        # In a comment or CDATA section the tags sought by `recall` would be text.
        is_plain = b"<!" not in fragment and b"<?" not in fragment and fragment.count(_OUTPUT) <= 1
        if self._key and is_plain and self._made is not None and self._made.definition is not None:
            self._fragments.put(self._key, (self._made.definition, self._made.others), len(self._key))


def parted(
    attributes: Attributes, children: list[tuple[str, str]]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What is said of the plugin, and what of this host. The description of a compliance check tells its result."""
    own_names = _OF_THE_HOST | {"plugin_output"}
    if attributes.get("pluginFamily") == _COMPLIANCE_FAMILY or ("compliance", "true") in children:
        own_names |= {"description"}
    shared = [pair for pair in children if pair[0] not in own_names]
    own = [pair for pair in children if pair[0] in own_names]
    if "description" in own_names and not any(name == "cm:compliance-check-name" for name, _ in shared):
        # Reports of before 2012 have it in the description alone: "name of the check" : [FAILED]
        check = next((found for name, text in own if name == "description" and (found := _OLD_CHECK.match(text))), None)
        if check:
            shared += [("cm:compliance-check-name", check[1]), ("cm:compliance-result", check[2])]
    return shared, own
