"""Reads the full action report of Pentera: a row for each thing that it did, with the severity of what came of it.

What came to nothing is no finding. Columns were taken from the one public sample and from public readers; `Parameters`
is JSON (`{"host": "192.0.2.1"}`) or a list of `Host: 192.0.2.1`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from services.importer.formats.kit.credentials import shown_field, told_of
from services.importer.formats.kit.csv import Row, header_of, walk_csv
from services.importer.formats.kit.entries import shown
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.values import (
    PORT_MAX,
    TEXT_LIMIT,
    TITLE_LIMIT,
    clean,
    custom_fields,
    finding_key,
    line,
    title_number,
    whole,
)
from services.importer.formats.pentera.findings import PLACES_LIMIT, SOURCE, host_asset, severity_of, techniques_in
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding, FindingsRecord

_KNOWN = frozenset({"Severity", "Time", "Duration", "Operation Type", "Techniques", "Parameters", "Status"})
_WANTED = (
    frozenset({"Operation Type", "Parameters", "Status"}),
    frozenset({"Operation Type", "Techniques", "Severity"}),
)

_NOTHING = re.compile(
    r"no[ _-]?results?|fail(?:ed|ure)?|error|cancel(?:l?ed)?|stopped|skipped|timed? ?out", re.IGNORECASE
)
_DONE = frozenset({"success", "succeeded", "successful", "done", "completed", ""})

_HOST = frozenset({"host", "hosts", "target", "targets", "ip", "ips", "address", "hostname", "machine", "computer"})
_USER = frozenset({"user", "username", "account"})
# Quotes and braces are those of JSON that is cut or not quite right.
_PAIR = re.compile(r"""[\s{"']{0,8}(\w[\w .-]{0,60}?)["']?\s*[:=]\s*(.*)""")
_NEXT_PAIR = re.compile(r"""[,;]\s*(?=["']?\w[\w .-]{0,60}?["']?\s*[:=])|[\r\n]+""")
_LIST = re.compile(r"""[,;\s"'\[\]]+""")
# The user and domain of a captured handshake, or the user of a dumped hash, before the hashes themselves.
_HASH_OWNER = re.compile(r"([^\s:]{1,256})::([^\s:]{0,256}):|([^\s:]{1,256}):\d{1,10}:[0-9A-Fa-f]{32}:")
_DEPTH_LIMIT = 100


class Parameters(NamedTuple):
    """What an action was done with, by name in lower case; secrets are there until they are shown."""

    pairs: tuple[tuple[str, str], ...]

    def of(self, names: frozenset[str]) -> list[str]:
        return [value for name, value in self.pairs if name in names and value]

    def told(self) -> str:
        return "\n".join(f"{name}: {shown_field(name, value)}" for name, value in self.pairs if value)

    def account(self) -> str:
        """Whose account it was, with its domain where that is known."""
        if users := self.of(_USER):
            domain = next(iter(self.of(frozenset({"domain"}))), "")
            return line(f"{domain}\\{users[0]}" if domain else users[0])
        for name, value in self.pairs:
            if "hash" in name and (owner := _HASH_OWNER.match(value)):
                user, domain = owner[1] or owner[3], owner[2] or ""
                return line(f"{domain}\\{user}" if domain else user)
        return ""


def sniff(head: bytes) -> bool:
    return bool(header_of(head, _WANTED))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_csv(stream, _WANTED, _KNOWN, kept="as notes")


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    row: Row = raw.value
    title = line(row.get("Operation Type"), TITLE_LIMIT)
    if not title:
        raise RecordError("MISSING_FIELD", "Operation Type", "The action has no type.")
    parameters = _parameters(row.get("Parameters"))
    assets, port = _assets(raw.once, parameters)
    status = row.get("Status")
    if _NOTHING.fullmatch(status):
        told = Caution(
            "NO_RESULT_LEFT_OUT", "Actions of Pentera that came to nothing are left out; their hosts are kept."
        )
        return (*assets, told, *raw.cautions)
    severity, cautions = severity_of(row.get("Severity"))
    if status.lower() not in _DONE:
        message = f'The status "{status[:40]}" is not known; the action was read as successful.'
        cautions = (*cautions, Caution("UNKNOWN_STATUS", message))
    notes = _notes(row, parameters)
    finding = Finding(
        key=finding_key(None, title),
        number=title_number(title),
        title=title,
        severity=severity,
        source=SOURCE,
        cves=cves_in([title]),
        # What belongs to a place is kept with the finding where there is none.
        fields=custom_fields(
            {"severity": row.get("Severity"), "techniques": row.get("Techniques"), **({} if assets else notes)}
        ),
        tags=techniques_in(row.get("Techniques")),
    )
    finding = raw.once.same(finding)
    told_notes = "\n".join(f"{name}: {value}" for name, value in notes.items() if value)[:TEXT_LIMIT]
    affected = (
        AffectedAsset(finding=finding.key, asset=asset.ref, port=port, protocol="tcp" if port else "", notes=told_notes)
        for asset in assets
    )
    records: tuple[FindingsRecord, ...] = (*assets, finding, *affected)
    return (*records, *cautions, *told_of(records, SOURCE), *raw.cautions)


def _notes(row: Row, parameters: Parameters) -> dict[str, str]:
    return {
        "Time": row.get("Time"),
        "Duration": row.get("Duration"),
        "Status": "" if row.get("Status").lower() in _DONE else row.get("Status"),
        "Parameters": parameters.told(),
        **{name: shown_field(name, value) for name, value in row.extra().items()},
    }


def _assets(once: Once, parameters: Parameters) -> tuple[tuple[Asset, ...], int]:
    """The hosts of an action, else the account, with the port."""
    names = dict.fromkeys(part for value in parameters.of(_HOST) for part in _LIST.split(value) if part)
    if len(names) > PLACES_LIMIT:
        raise RecordError("TOO_MANY_ASSETS", "Parameters", f"The action names more than {PLACES_LIMIT} hosts.")
    hosts = tuple(asset for name in names if (asset := host_asset(once, name)))
    number = whole(next(iter(parameters.of(frozenset({"port"}))), ""))
    if hosts:
        return hosts, number if number is not None and number <= PORT_MAX else 0
    account = parameters.account()
    return ((once.same(Asset(ref=account, name=account, type="Account")),) if account else ()), 0


def _parameters(text: str) -> Parameters:
    if text.startswith("{") and text.count("{") + text.count("[") <= _DEPTH_LIMIT:
        try:
            members = json.loads(text, parse_int=str, parse_float=str)
        except ValueError:
            members = None
        if isinstance(members, dict):
            return Parameters(
                tuple((line(clean(name)).lower(), clean(shown(value))) for name, value in members.items())
            )
    pairs = []
    for part in _NEXT_PAIR.split(text):
        found = _PAIR.fullmatch(part)
        name, value = (found[1], found[2]) if found else ("", part)
        if value := value.strip(" \t\"'{}"):
            pairs.append((line(name).lower() or "parameter", value))
    return Parameters(tuple(pairs))


FORMAT = Format(
    name="pentera_csv",
    title="an action report of Pentera (CSV)",
    family="pentera",
    syntax="csv",
    extensions=(".csv",),
    sources=("pentera",),
    sniff=sniff,
    walk=walk,
    read=read,
)
