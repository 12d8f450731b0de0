"""Reads results of BlindSPOT, OnDefend's simulation of breaches and attacks: tables and JSON.

Nothing of its exports is public: neither a file nor a description of one. Known is what the product does: it runs
tests, each a technique of MITRE ATT&CK, on hosts, and says whether each was prevented or detected. Assumed is the rest:

- a table has a row, JSON an object for each test on a host, in an array that is the document or one of its members;
- names are like those below, whatever their case, spaces and signs; what else there is, is kept as fields and told;
- a file is known by the product's name in its beginning, or by columns for a technique and an outcome;
- the finding is the test, by its title; without a severity the outcome gives one: Informational for what was
  prevented, Low for what was only detected, Medium for what was neither, Informational and a caution for other words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product

from services.importer.formats.kit.addresses import ip_address, mac_address
from services.importer.formats.kit.csv import Row, header_of, plain_name, walk_csv
from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError, WrongFormat
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.json import member_paths, walk_json
from services.importer.formats.kit.looks import text_of
from services.importer.formats.kit.members import as_text, members_of
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.values import (
    TEXT_LIMIT,
    TITLE_LIMIT,
    custom_fields,
    finding_key,
    line,
    title_number,
)
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding, FindingsRecord, Severity

SOURCE = "BlindSPOT"

_plain = lru_cache(maxsize=1_024)(plain_name)

_TITLE = ("title", "test name", "test", "name", "simulation", "attack", "finding", "technique name", "procedure")
_TECHNIQUE = ("technique id", "mitre id", "mitre technique", "attack technique", "mitre attack id", "technique", "ttp")
_OUTCOME = ("outcome", "result", "test result", "prevention result", "detection result")
_SEVERITY = ("severity", "risk", "risk level", "priority")
_HOST = ("hostname", "host", "asset", "asset name", "endpoint", "target", "agent", "machine", "computer")
_ADDRESS = ("ip", "ip address", "host ip", "target ip")
_DESCRIPTION = ("description", "summary", "details")
_ADVICE = ("recommendations", "recommendation", "remediation", "mitigation", "mitigations")
_REFERENCES = ("references", "reference", "links", "url")
_OUTPUT = ("output", "evidence", "command output", "logs", "command")
# What differs from place to place without being known to anybody.
_KNOWN = {
    "tactic": ("tactic", "mitre tactic", "attack tactic"),
    "campaign": ("campaign", "campaign name", "scenario", "assessment"),
    "prevented": ("prevented", "blocked"),
    "detected": ("detected", "alerted", "logged"),
    "operating_system": ("operating system", "os", "platform"),
    "mac": ("mac", "mac address"),
    "date": ("date", "time", "timestamp", "executed at", "start time"),
    "user": ("user", "username"),
}
_LABELLED = {name.replace("_", " ").capitalize(): names for name, names in _KNOWN.items()}
_OF_FINDING = (_TECHNIQUE, _KNOWN["tactic"], _SEVERITY, _DESCRIPTION, _ADVICE, _REFERENCES)
_ALL = (*_TITLE, *_TECHNIQUE, *_OUTCOME, *_SEVERITY, *_HOST, *_ADDRESS, *_DESCRIPTION, *_ADVICE, *_REFERENCES, *_OUTPUT,
        *(name for names in _KNOWN.values() for name in names))  # fmt: skip
_PLAIN = frozenset(map(_plain, _ALL))
_WANTED = [{technique, outcome} for technique, outcome in product(_TECHNIQUE, _OUTCOME)]
_NAMED = [{title, other} for title, other in product(_TITLE, (*_OUTCOME, *_SEVERITY))]

_ARRAYS = ("results", "findings", "tests", "attacks", "simulations", "techniques")
_PRODUCT = re.compile("blind ?spot|ondefend", re.IGNORECASE)
_HEAD_BYTES, _NAMES_LIMIT, _SHOWN = 4_096, 1_000, 20

# Tried in this order: "not detected" has the word "detected", too.
_OUTCOMES = (
    (
        re.compile(r"\b(?:not|un|never)[ -]?(?:prevented|blocked|detected|logged|alerted)|missed", re.IGNORECASE),
        Severity.MEDIUM,
    ),
    (re.compile(r"prevented|blocked|stopped|quarantined", re.IGNORECASE), Severity.INFORMATIONAL),
    (re.compile(r"detected|alerted|logged", re.IGNORECASE), Severity.LOW),
)


class _Object:
    """One test on one host: its values by plain names, and those that nobody knows by the names they have."""

    def __init__(self, values: dict[str, str], extra: dict[str, str]) -> None:
        self._values, self._extra = values, extra

    def get(self, *names: str) -> str:
        """The value of the first of these names that has one."""
        for name in names:
            if value := self._values.get(_plain(name)):
                return value
        return ""

    def extra(self) -> dict[str, str]:
        return self._extra


Test = Row | _Object


def sniff_csv(head: bytes) -> bool:
    return bool(header_of(head, _wanted(head)))


def walk_table(stream: ByteStream) -> Iterator[Item]:
    head = _head(stream)
    return walk_csv(_Rejoined(head, stream), _wanted(head), _ALL)


def _wanted(head: bytes) -> list[set[str]]:
    """The columns of which a table must have some: less is enough where it names the product."""
    return _WANTED + _NAMED if _PRODUCT.search(text_of(head)) else _WANTED


def read_row(raw: Node) -> tuple[FindingsRecord, ...]:
    return _records(raw.value, raw)


def sniff_json(head: bytes) -> bool:
    names = {_plain(path.rpartition(".")[2]) for path in member_paths(head)}
    has_technique = not names.isdisjoint(map(_plain, _TECHNIQUE))
    has_outcome = not names.isdisjoint(map(_plain, _OUTCOME))
    return bool(names) and ((has_technique and has_outcome) or _PRODUCT.search(text_of(head)) is not None)


def walk_objects(stream: ByteStream) -> Iterator[Item]:
    head = _head(stream)
    is_array = text_of(head).lstrip().startswith("[")
    paths = frozenset({"[]"}) if is_array else frozenset(f"{array}[]" for array in _ARRAYS)
    told: set[str] = set()
    is_known = sniff_json(head)
    # Whose it is, is looked for in the beginning; any member will do for the walk.
    signs = member_paths(head) or frozenset(_ARRAYS)
    for node, position in walk_json(_Rejoined(head, stream), items=paths, signs=signs):
        if not is_known:
            break
        if isinstance(node.value, dict) and len(told) < _NAMES_LIMIT:
            unknown = [name for name in node.value if _plain(name) not in _PLAIN and name not in told]
            told.update(unknown)
            node.notes = (*node.notes, *_unknown(unknown))
        yield Item(node, position)
    if not is_known:
        raise WrongFormat("The file is JSON, but it does not look like results of BlindSPOT.")


def _head(stream: ByteStream) -> bytes:
    head = stream.read(_HEAD_BYTES)
    while len(head) < _HEAD_BYTES and (more := stream.read(_HEAD_BYTES - len(head))):
        head += more
    return head


class _Rejoined:
    """An input whose beginning was read already."""

    def __init__(self, head: bytes, rest: ByteStream) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int, /) -> bytes:
        piece, self._head = self._head[:size], self._head[size:]
        return piece or self._rest.read(size)


def _unknown(names: list[str]) -> tuple[Note, ...]:
    if not names:
        return ()
    shown = ", ".join(f'"{line(name, 60)}"' for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (Note("UNKNOWN_MEMBERS", f"These members are not known; their values are kept as fields: {shown}{more}."),)


def read_object(raw: Node) -> tuple[FindingsRecord, ...]:
    values: dict[str, str] = {}
    extra: dict[str, str] = {}
    for name, value in members_of(raw.value).items():
        if shown := _shown(value):
            if _plain(name) in _PLAIN:
                values.setdefault(_plain(name), shown)
            else:
                extra[name] = shown
    return _records(_Object(values, extra), raw)


def _shown(value: object) -> str:
    """A value as text: of an object or a list, what is in it, line by line."""
    if isinstance(value, list):
        return "\n".join(filter(None, map(_shown, value)))
    if isinstance(value, dict):
        return "\n".join(f"{name}: {shown}" for name, inside in value.items() if (shown := _shown(inside)))
    return as_text(value)


def _records(test: Test, raw: Node) -> tuple[FindingsRecord, ...]:
    title = line(test.get(*_TITLE) or test.get(*_TECHNIQUE), TITLE_LIMIT)
    if not title:
        raise RecordError("MISSING_FIELD", "title", "The test has no title.")
    severity, cautions = _severity(test)
    asset, output, outcome, extra = _asset(test, raw.once), test.get(*_OUTPUT), test.get(*_OUTCOME), test.extra()
    # What belongs to a host is kept with the finding where no host is named.
    of_host = {} if asset else {"outcome": outcome, "output": output}
    texts = tuple([test.get(*names) for names in _OF_FINDING])
    finding = raw.once(
        ("finding", title, severity, *texts, *of_host.items(), *extra.items()),
        lambda: _finding(title, severity, texts, of_host, extra),
    )
    if asset is None:
        return (finding, *cautions, *raw.cautions)
    proof = (evidence("Output", output),) if output else ()
    told = {"Outcome": outcome, **{label: test.get(*names) for label, names in _LABELLED.items()}, **extra}
    notes = "\n".join([f"{label}: {value}" for label, value in told.items() if value])
    affected = AffectedAsset(finding=finding.key, asset=asset.ref, notes=notes[:TEXT_LIMIT], evidence=proof)
    return (asset, finding, affected, *cautions, *cautions_of(proof), *raw.cautions)


def _severity(test: Test) -> tuple[Severity, tuple[Caution, ...]]:
    word = test.get(*_SEVERITY)
    if (severity := severity_of_word(word)) is not None:
        return severity, ()
    message = f'The severity "{line(word, 40)}" was read by the outcome.'
    cautions = (Caution("UNKNOWN_SEVERITY", message),) if word else ()
    outcome = test.get(*_OUTCOME)[:TITLE_LIMIT]
    for pattern, severity in _OUTCOMES:
        if pattern.search(outcome):
            return severity, cautions
    prevented, detected = (test.get(*_KNOWN[name]).lower() for name in ("prevented", "detected"))
    if prevented in _YES:
        return Severity.INFORMATIONAL, cautions
    if detected in _YES:
        return Severity.LOW, cautions
    if prevented in _NO and detected in _NO:
        return Severity.MEDIUM, cautions
    message = f'The outcome "{line(outcome, 40)}" was read as Informational.'
    return Severity.INFORMATIONAL, (*cautions, Caution("UNKNOWN_SEVERITY", message))


_YES, _NO = frozenset({"true", "yes", "1", "y"}), frozenset({"false", "no", "0", "n"})


def _finding(
    title: str, severity: Severity, texts: tuple[str, ...], of_host: dict[str, str], extra: dict[str, str]
) -> Finding:
    technique, tactic, word, description, advice, references = texts
    told = {"technique": technique, "tactic": tactic, "severity": word}
    return Finding(
        key=finding_key(None, title),
        number=title_number(title),
        title=title,
        severity=severity,
        description=description[:TEXT_LIMIT],
        recommendations=advice[:TEXT_LIMIT],
        references=references[:TEXT_LIMIT],
        source=SOURCE,
        cves=cves_in([title, description, references]),
        cwes=cwes_in([description, references]),
        fields=custom_fields(of_host | told | extra),
        tags=tuple(line(tag) for tag in (technique, tactic) if tag),
    )


def _asset(test: Test, once: Once) -> Asset | None:
    name, address = line(test.get(*_HOST)), ip_address(test.get(*_ADDRESS))
    own = ip_address(name)
    if not name and not address:
        return None
    system, mac = line(test.get(*_KNOWN["operating_system"])), mac_address(test.get(*_KNOWN["mac"]))
    return once(
        ("host", name, address, system, mac),
        lambda: Asset(
            ref=name or address,
            name=name or address,
            hostname="" if own else name,
            ips=tuple(dict.fromkeys(each for each in (address, own) if each)),
            mac=mac,
            operating_systems=(system,) if system else (),
        ),
    )


OBJECTS = Format(
    name="blindspot",
    title="results of BlindSPOT",
    family="blindspot",
    syntax="json",
    extensions=(".json",),
    sources=("blindspot",),
    sniff=sniff_json,
    walk=walk_objects,
    read=read_object,
)
TABLE = Format(
    name="blindspot_csv",
    title="a table of BlindSPOT",
    family="blindspot",
    syntax="csv",
    extensions=(".csv",),
    sources=("blindspot",),
    sniff=sniff_csv,
    walk=walk_table,
    read=read_row,
)
FORMATS = (OBJECTS, TABLE)
