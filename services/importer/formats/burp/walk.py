"""Reads Burp Suite issue reports (`issues` XML) issue by issue.

Most of such a file is responses in base64, which need no XML parser: they are cut out and decoded where they are
nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from services.importer.formats.burp.report import Body, Exchange, Issue, Shared
from services.importer.formats.kit.evidence import base64_bytes
from services.importer.formats.kit.format import ByteStream, Item, Position, WrongFormat
from services.importer.formats.kit.fragments import Fragments
from services.importer.formats.kit.looks import text_of, xml_root
from services.importer.formats.kit.walking import items
from services.importer.formats.kit.xml import Attributes, XmlReader

ROOT = "issues"

_PATH = f"{ROOT}/issue"
_EVENTS = ("collaboratorEvent", "infiltratorEvent", "dynamicAnalysis", "staticAnalysis")
_BASE64_BEGINS, _BASE64_ENDS = b'base64="true"><![CDATA[', b"]]></response>"


def sniff(head: bytes) -> bool:
    # Android's lint writes <issues> too. The long document type of Burp names its attribute as well.
    return xml_root(head)[0] == ROOT and "burpVersion" in text_of(head)


def walk(stream: ByteStream) -> Iterator[Item]:
    report = _Report(stream)
    return items(report.reader, report.ready, Fragments(report.reader, b"response", report))


class _Report:
    """The state of one pass: the issue that is open, and the definitions and sites seen lately."""

    def __init__(self, stream: ByteStream) -> None:
        self.ready: list[Item] = []
        self.reader = XmlReader(
            stream,
            frozenset({ROOT}),
            starts={
                ROOT: self._root,
                "issue": self._issue_begins,
                "host": self._host_begins,
                "requestresponse": self._exchange_begins,
                "request": self._body_begins,
                "response": self._body_begins,
                **{name: partial(self._event_begins, name) for name in _EVENTS},
            },
            ends={
                "issue": self._issue_ends,
                "issueDetailItem": self._detail_ends,
                "request": self._request_ends,
                "response": self._response_ends,
                "responseRedirected": self._unused_ends,
                **dict.fromkeys(_EVENTS, self._event_ends),
            },
            default_end=self._text_ends,
        )
        self._position = Position()
        self._is_open = False
        self._texts: dict[str, str] = {}
        self._details: list[str] = []
        self._exchanges: list[Exchange] = []
        self._events: list[tuple[str, list[tuple[str, str]]]] = []
        self._event: list[tuple[str, str]] | None = None
        self._ip = ""
        self._is_base64 = False
        self._shared = Shared()

    def _root(self, attributes: Attributes) -> None:
        if "burpVersion" not in attributes:
            raise WrongFormat(f"The file is XML with the root element <{ROOT}>, but not written by Burp Suite.")

    def _issue_begins(self, attributes: Attributes) -> None:
        self._position = self.reader.begin_record(_PATH)
        self._is_open = True
        self._texts, self._details, self._exchanges, self._events = {}, [], [], []
        self._event, self._ip = None, ""

    def _host_begins(self, attributes: Attributes) -> None:
        self._ip = attributes.get("ip", "")

    def _exchange_begins(self, attributes: Attributes) -> None:
        self._exchanges.append(Exchange())

    def _body_begins(self, attributes: Attributes) -> None:
        self._is_base64 = attributes.get("base64", "").lower() == "true"

    def _request_ends(self, text: str) -> None:
        if self._exchanges:
            self._exchanges[-1].request = Body(text, self._is_base64)

    def _response_ends(self, text: str) -> None:
        if self._exchanges:
            self._exchanges[-1].response = Body(text, self._is_base64)

    def _unused_ends(self, text: str) -> None:
        pass

    def _event_begins(self, name: str, attributes: Attributes) -> None:
        self._event = []
        self._events.append((name, self._event))

    def _event_ends(self, text: str) -> None:
        self._event = None

    def _detail_ends(self, text: str) -> None:
        self._details.append(text)

    def _text_ends(self, name: str, text: str) -> None:
        if self._event is not None:
            if text.strip():
                self._event.append((name, text))
        elif self._is_open:
            self._texts.setdefault(name, text)

    def _issue_ends(self, text: str) -> None:
        self.reader.end_record()
        if not self._is_open:
            return
        self._is_open = False
        definition = self._shared.definition(self._texts)
        site = self._shared.site(self._texts.get("host", ""), self._ip)
        issue = Issue(definition, site, self._texts, self._details, self._exchanges, self._events)
        issue.notes = tuple(self.reader.notes)
        self.reader.notes.clear()
        self.ready.append(Item(issue, self._position))

    # What needs no parser.

    def is_expecting(self) -> bool:
        return self._is_open and bool(self._exchanges) and self._exchanges[-1].response is None

    def recall(self, fragment: bytes) -> bool:
        if not (fragment.startswith(_BASE64_BEGINS) and fragment.endswith(_BASE64_ENDS)):
            return False
        content = base64_bytes(fragment[len(_BASE64_BEGINS) : -len(_BASE64_ENDS)])
        if content is None:
            return False
        self._exchanges[-1].response = Body(content, is_base64=False)
        return True

    def learn(self, fragment: bytes) -> None:
        pass
