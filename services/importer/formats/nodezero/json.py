"""Reads answers of NodeZero's API: weaknesses, hosts and services.

They stand in a page as the API gives it (`data.weaknesses_page.weaknesses[]`), in members of those names, or in an
array that is the document. Attack paths and credentials are left out and told: the first are made of weaknesses, the
second are secrets.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.kit.credentials import told_of
from services.importer.formats.kit.entries import entry_of, last_names, plain_names, walk_objects
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.json import member_paths
from services.importer.formats.kit.node import Node
from services.importer.formats.nodezero.findings import KNOWN, SOURCE, host_records, is_weakness, weakness_records
from services.importer.targets.findings.records import Caution, FindingsRecord

_LISTS = ("weaknesses", "hosts", "services", "attack_paths", "credentials")
_PATHS = frozenset(
    {
        "[]",
        *(f"{name}[]" for name in _LISTS),
        *(f"data.{name}[]" for name in _LISTS),
        *(f"{above}{name}_page.{name}[]" for name in _LISTS for above in ("", "data.")),
    }
)
_LEFT_OUT = {
    "attack_paths": Caution(
        "ATTACK_PATHS_LEFT_OUT", "Attack paths of NodeZero are left out; their weaknesses are kept."
    ),
    "credentials": Caution("CREDENTIALS_LEFT_OUT", "Credentials that NodeZero found are secrets and left out."),
}

_SIGNS = plain_names(("vuln_id", "vuln_short_name", "is_domain_controller", "is_in_scope", "iana_service_name"))
_PAGES = frozenset(f"{above}{name}_page" for name in _LISTS for above in ("", "data."))


def sniff(head: bytes) -> bool:
    paths = member_paths(head)
    return not _PAGES.isdisjoint(paths) or not _SIGNS.isdisjoint(last_names(head))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_objects(
        stream, items=_PATHS, known=KNOWN, sniff=sniff, title="an export of NodeZero", left_out=_LEFT_OUT_PATHS
    )


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    name = _name(raw.path)
    if name in _LEFT_OUT:
        return (_LEFT_OUT[name], *raw.cautions)
    entry = entry_of(raw, KNOWN)
    is_host = name in {"hosts", "services"} or not (name or is_weakness(entry))
    records = host_records(entry, raw.once) if is_host else weakness_records(entry, raw.once)
    return (*records, *told_of(records, SOURCE), *raw.cautions)


def _name(path: str) -> str:
    """The name of the list that items of a path are in; "" for the document itself."""
    return path.rpartition(".")[2].removesuffix("[]")


_LEFT_OUT_PATHS = frozenset(path for path in _PATHS if _name(path) in _LEFT_OUT)

FORMAT = Format(
    name="nodezero",
    title="an export of NodeZero",
    family="nodezero",
    syntax="json",
    extensions=(".json",),
    sources=("nodezero", "horizon"),
    sniff=sniff,
    walk=walk,
    read=read,
)
