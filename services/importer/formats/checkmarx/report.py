"""Reads scan reports of Checkmarx One in JSON: the newer (`resultsList`, `technology`) and the older (`languages`).

Results stand below their query. What is wrong in a query and how to mend it stands in `vulnerabilityDetails` at the
end, by the query's name: queries are few, they are kept, and given as one item when the document ends. Ids of queries
are left out of older reports and rounded in newer ones, so a query is known by group and name.

Of packages (`scaScanResults`) no filled report is public. Assumed are the member names that other reports of Checkmarx
have; a package in which no vulnerability is found is rejected, and told. What containers and APIs look like is unknown:
a caution tells that such results are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from services.importer.formats.checkmarx.findings import (
    left_out,
    severity_or_caution,
)
from services.importer.formats.checkmarx.results import (
    NOT_READ,
    Ended,
    Queries,
    key_of,
    query_of,
    read_code,
    read_end,
    read_package,
    read_place,
)
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.json import member_paths, walk_json
from services.importer.formats.kit.members import text
from services.importer.formats.kit.node import Node
from services.importer.targets.findings.records import FindingsRecord

_NEWER, _OLDER = "scanResults.resultsList[]", "scanResults.sast.languages[]"
_CODE = frozenset({f"{_NEWER}.vulnerabilities[]", f"{_OLDER}.queries[].vulnerabilities[]"})
_IAC = "iacScanResults.technology[]"
_FILES = frozenset({f"{_IAC}.queries[].resultsList[]", "scanResults.kics.results[]"})
_PACKAGES = frozenset({"scaScanResults.packages[]", "scanResults.sca.packages[]"})

_CONTEXTS = ("", _NEWER, _OLDER, f"{_OLDER}.queries[]", _IAC, f"{_IAC}.queries[]")

_SIGNS = frozenset({"scanResults", "iacScanResults", "scaScanResults"})
_HEADS = ("reportHeader.projectName", "reportHeader.tenantId", "reportHeader.scanners", "executiveSummary.engines")
_KEPT = frozenset(
    {
        "reportHeader",
        "scanInformation",
        "vulnerabilityDetails",
        "queryName",
        "queryId",
        "queryPath",
        "queryDescriptionLink",
        "description",
        "cweId",
        "categories",
        "languageName",
        "name",
        "category",
        *NOT_READ,
    }
)


def sniff(head: bytes) -> bool:
    paths = member_paths(head)
    return bool(paths & {_NEWER.removesuffix("[]"), "scanResults.sast", "iacScanResults", "scaScanResults"}) or (
        "reportHeader" in paths and any(path in paths for path in _HEADS)
    )


def walk(stream: ByteStream) -> Iterator[Item]:
    queries = Queries()
    walked = walk_json(
        stream,
        items=_CODE | _FILES | _PACKAGES,
        signs=_SIGNS,
        contexts=dict.fromkeys(_CONTEXTS, lambda kept, _: dict(kept)),
        keep=_KEPT,
        closing=frozenset({""}),
    )
    for node, position in walked:
        if not node.path:
            node.value = Ended(node.value, queries)
        elif node.path in _CODE and isinstance(node.value, dict):
            query = query_of(node)
            key = key_of(query, node.value)
            if key and left_out("", text(node.value, "state"), text(node.value, "status")) is None:
                severity, _ = severity_or_caution(text(node.value, "severity"))
                # Older reports have the CWE with each result.
                queries.add(key, {"cweId": node.value.get("cweId"), **query}, severity)
        yield Item(node, position)


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    if isinstance(raw.value, Ended):
        return (*read_end(raw.value, raw.once), *raw.cautions)
    make: Callable[[Node], tuple[FindingsRecord, ...]] = (
        read_code if raw.path in _CODE else read_place if raw.path in _FILES else read_package
    )
    return (*make(raw), *raw.cautions)


FORMAT = Format(
    name="checkmarx_report",
    title="a scan report of Checkmarx One",
    family="checkmarx",
    syntax="json",
    extensions=(".json",),
    sources=("checkmarx",),
    sniff=sniff,
    walk=walk,
    read=read,
)
