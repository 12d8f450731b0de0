"""Reads the XML of OpenVAS and Greenbone result by result.

An item is one `result`, or one `host` of a report, which stands after all results and has the host's details. The test
of a result (`nvt`) is most of its bytes and the same for every host: it is not parsed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.format import ByteStream, DamagedFile, Item, Position, WrongFormat
from services.importer.formats.kit.fragments import Fragments
from services.importer.formats.kit.memo import Memo
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.trees import LIMITS, text_of
from services.importer.formats.kit.values import whole
from services.importer.formats.kit.walking import items
from services.importer.formats.kit.xml import Attributes, XmlReader
from services.importer.formats.openvas.nvt import test_of
from services.importer.formats.openvas.report import Seen, Test

# A report as it is exported, answers of the Greenbone Management Protocol, and one result alone.
ROOTS = frozenset({"report", "get_reports_response", "get_results_response", "result"})

_LISTS = frozenset({"report", "results"})
# What tells a report of this scanner from other documents whose root has the same name.
_MARKS = frozenset({"filters", "gmp", "omp", "report", "report_format", "result_count", "results", "scan_run_status"})
_OF_A_HOST = frozenset({"detail", "ip"})
# The details of hosts that `read` uses; a host may have thousands of others.
DETAILS = frozenset({"MAC", "OS", "Services", "best_os_txt", "hostname", "ports", "tcp_ports", "udp_ports"})
_KEPT_LIMIT = 10_000

_KNOWN_BYTES = 8 << 20


def walk(stream: ByteStream) -> Iterator[Item]:
    report = _Report(stream)
    return items(report.reader, report.ready, Fragments(report.reader, b"nvt", report))


class _Report:
    """The state of one pass: the lists and the result or host that are open, and the tests seen lately."""

    def __init__(self, stream: ByteStream) -> None:
        self.ready: list[Item] = []
        self.reader = XmlReader(
            stream, ROOTS, {}, {}, default_start=self._begins, default_end=self._ends, limits=LIMITS
        )
        self._lists: list[str] = []
        self._host: Element | None = None
        self._position = Position()
        self._is_skipping = self._is_marked = False
        self._results = 0
        self._once = Once()
        # The result that is open: how deep it is, its test, the bytes of that.
        self._result_depth = 0
        self._test: Test | None = None
        self._fragment = b""
        self._tests: Memo[bytes, Test] = Memo(_KNOWN_BYTES)

    # Handlers.

    def _begins(self, name: str, attributes: Attributes) -> None:
        if self._host is not None and name in _OF_A_HOST:
            self.reader.build(name, attributes, self._host_part)
        elif self._host is not None:
            self._skip()
        elif name == "result":
            self._result_begins(attributes)
        elif name == "host" and self._lists:
            self._position = self._begin_record(name)
            self.reader.end_record()  # Its details may be many, and are let go one by one.
            self._host = Element(name, attributes)
        elif not self._lists or name in _LISTS:
            self._is_marked |= bool(self._lists)
            self._lists.append(name)
        elif name == "result_count":
            self._is_marked = True
            self.reader.build(name, attributes, self._compare)
        else:
            self._is_marked |= name in _MARKS
            self._skip()

    def _ends(self, name: str, text: str) -> None:
        if self._is_skipping:
            self._is_skipping = False
        elif self._host is not None:
            self._give(self._host, None)
            self._host = None
        else:
            self._lists.pop()
            if not self._lists and not self._is_marked and name == "report":
                raise WrongFormat("The file is XML with the root element <report>, but no report of OpenVAS.")

    def _begin_record(self, name: str) -> Position:
        return self.reader.begin_record("/".join((*self._lists, name)))

    def _skip(self) -> None:
        self._is_skipping = True
        self.reader.skip()

    def _result_begins(self, attributes: Attributes) -> None:
        self._position = self._begin_record("result")
        self._test, self._fragment = None, b""
        self._result_depth = self.reader.depth
        self.reader.build("result", attributes, self._result_ends)

    def _result_ends(self, result: Element) -> None:
        self.reader.end_record()
        self._result_depth = 0
        self._results += 1
        nvt = result.find("nvt")
        if self._test is None and nvt is not None:
            self._test = test_of(nvt)
            if self._fragment:
                self._tests.put(self._fragment, self._test, len(self._fragment))
        if self._test is None and not self._lists:
            raise WrongFormat("The file is XML with the root element <result>, but no result of OpenVAS.")
        self._give(result, self._test)

    def _host_part(self, element: Element) -> None:
        if self._host is None or (element.tag == "detail" and text_of(element, "name") not in DETAILS):
            return
        if len(self._host) >= _KEPT_LIMIT:
            raise DamagedFile("TOO_MANY_ELEMENTS", f"A host has more than {_KEPT_LIMIT} details.", self._position)
        self._host.append(element)

    def _compare(self, count: Element) -> None:
        """Tell of a report that shows only a page of its results; the item that comes next has the note."""
        found = whole(text_of(count, "filtered"))
        if found is not None and self._lists[-1] == "report" and found > self._results:
            message = f"The report was made of {found} results and has {self._results} of them."
            self.reader.notes.append(Note("RESULTS_LEFT_OUT", message))

    def _give(self, element: Element, test: Test | None) -> None:
        notes, self.reader.notes[:] = tuple(self.reader.notes), []
        self.ready.append(Item(Seen(element, test, self._once, notes), self._position))

    # What is known by heart.

    def is_expecting(self) -> bool:
        return self.reader.depth == self._result_depth > 0

    def recall(self, fragment: bytes) -> bool:
        self._test = self._test or self._tests.get(fragment)
        return self._test is not None

    def learn(self, fragment: bytes) -> None:
        # What is in a comment or a CDATA section may look like the end of the element.
        if b"<!" not in fragment and b"<?" not in fragment:
            self._fragment = self._fragment or fragment
