"""Reads JSON reports of Invicti Enterprise and Acunetix 360, issue by issue. Any object in an issue may be null.

Nothing in such a report says for sure of which of the two it is: the source that it was sent for decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from services.importer.formats.issues360.issues import ACUNETIX, INVICTI, folded, issue_records, target_records
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.json import member_paths, walk_json
from services.importer.formats.kit.members import inner, members_of, text
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.values import URL_LIMIT, line
from services.importer.targets.findings.records import FindingsRecord

_ISSUE = "Vulnerabilities[]"
_SIGNS = frozenset({"Generated", "Vulnerabilities[].LookupId"})
_SEEN = frozenset({"Target.ScanId", "Target.Url", "Target.Initiated", "Vulnerabilities[].Certainty"})


def sniff(head: bytes) -> bool:
    paths = member_paths(head)
    return not _SIGNS.isdisjoint(paths) and not _SEEN.isdisjoint(paths)


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_json(
        stream,
        items=frozenset({_ISSUE}),
        signs=_SIGNS,
        contexts={"": lambda kept, _: line(text(inner(kept, "Target"), "Url"), URL_LIMIT)},
        keep=frozenset({"Target"}),
        closing=frozenset({""}),
    )


def read(source: str, raw: Node) -> tuple[FindingsRecord, ...]:
    (target,) = raw.above
    if raw.path != _ISSUE:  # The document itself, at its end.
        return (*target_records(target, raw.once), *raw.cautions)
    return (*issue_records(folded(members_of(raw.value)), target, source, raw.once), *raw.cautions)


ACUNETIX_REPORT = Format(
    name="acunetix_360_json",
    title="an Acunetix 360 report",
    family="acunetix",
    syntax="json",
    extensions=(".json",),
    sources=("acunetix",),
    sniff=sniff,
    walk=walk,
    read=partial(read, ACUNETIX),
)
INVICTI_REPORT = Format(
    name="invicti_json",
    title="an Invicti report",
    family="invicti",
    syntax="json",
    extensions=(".json",),
    sources=("invicti", "netsparker"),
    sniff=sniff,
    walk=walk,
    read=partial(read, INVICTI),
)
FORMATS = (ACUNETIX_REPORT, INVICTI_REPORT)
