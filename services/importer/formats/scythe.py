"""Reads results of Scythe's campaigns, and tells its threat definitions, which have none.

Public is the definition of a threat, which Scythe runs: `threat` with a `script` of numbered steps, each a `request` to
a `module` with tags of MITRE ATT&CK in `rtags` (https://github.com/scythe-io/community-threats). Nothing of what it
exports of a campaign is public, neither a file nor a description of one. Assumed is:

- a table has a row, JSON an object for each step on a host, in a list or by its number;
- names are those of the definition and like those below, whatever their case, spaces and signs; what else there is, is
  kept as notes and told;
- a file is known by names for a module or its tags and for an outcome, or by the word Scythe in its beginning and names
  for a technique and an outcome;
- the finding is the step, by its title, else by its module and technique. Without a severity the outcome gives one:
  Informational for what failed or was prevented, Low for what was detected, Medium for what worked, Informational and
  a caution for other words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from services.importer.formats.kit.addresses import ip_address, mac_address
from services.importer.formats.kit.credentials import shown_field, told_of, without_credentials
from services.importer.formats.kit.csv import header_of, walk_csv
from services.importer.formats.kit.entries import (
    Entry,
    beginning,
    entry_of,
    last_names,
    plain_names,
    unchosen,
    walk_objects,
)
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError, WrongFormat
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.json import member_paths
from services.importer.formats.kit.looks import text_of
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

SOURCE = "Scythe"

_TITLE = ("title", "step name", "action name", "action", "test name", "name", "display_name", "procedure")
_MODULE, _TAGS = ("module",), ("rtags", "tags")
_TECHNIQUE = ("technique", "technique id", "ATT&CK technique", "attack technique", "mitre technique", "mitre id", "ttp")
_TACTIC = ("tactic", "ATT&CK tactic", "mitre tactic")
_STATUS, _SUCCESS = ("status", "outcome", "result"), ("success", "succeeded")
_PREVENTED, _DETECTED = ("prevented", "blocked"), ("detected", "detection", "alerted", "logged")
_OUTCOMES = (*_STATUS, *_SUCCESS, *_PREVENTED, *_DETECTED)
_SEVERITY = ("severity", "risk", "risk level", "priority")
_HOST = ("hostname", "host", "host name", "endpoint", "device", "machine", "computer", "asset", "target")
_ADDRESS = ("ip", "ip address", "host ip", "internal ip")
_SYSTEM, _MAC = ("operating_system_name", "operating system", "os", "platform"), ("mac", "mac address")
_DESCRIPTION = ("description", "summary", "details")
_ADVICE = ("recommendations", "recommendation", "remediation", "mitigation", "mitigations")
_REFERENCES = ("references", "reference", "links")
_REQUEST, _OUTPUT = ("request", "command", "input"), ("response", "output", "results", "evidence", "stdout")
_NOTES = {
    "Outcome": _STATUS,
    "Success": _SUCCESS,
    "Prevented": _PREVENTED,
    "Detected": _DETECTED,
    "Campaign": ("campaign", "campaign name"),
    "Threat": ("threat", "threat name"),
    "Time": ("time", "timestamp", "date", "start time", "executed at"),
    "User": ("user", "username", "user name"),
    "Step": ("step", "step number"),
}
_KNOWN = plain_names(
    *(_TITLE, _MODULE, _TAGS, _TECHNIQUE, _TACTIC, _SEVERITY, _HOST, _ADDRESS, _SYSTEM, _MAC, _DESCRIPTION),
    *(_ADVICE, _REFERENCES, _REQUEST, _OUTPUT, *_NOTES.values()),
)
_CHOICES = (_TITLE, _TECHNIQUE, _TACTIC, _SEVERITY, _HOST, _ADDRESS, _SYSTEM, _DESCRIPTION, _ADVICE, _REFERENCES,
            _REQUEST, _OUTPUT, *_NOTES.values())  # fmt: skip
_OF_A_STEP = (*_MODULE, "rtags")
_ENDS = (*_OUTCOMES, *_OUTPUT)
_WANTED = [{step, end} for step, end in product(_OF_A_STEP, _ENDS)]
_NAMED = [{step, end} for step, end in product((*_TECHNIQUE, *_TAGS, *_TITLE), _ENDS)]
_SCYTHE = re.compile(r"\bscythe\b", re.IGNORECASE)

_LISTS = ("results", "steps", "actions", "events", "responses")
_STEPS_OF_A_THREAT = "threat.script{}"
_PATHS = frozenset(
    {"[]", _STEPS_OF_A_THREAT, *(f"{above}{name}{all_}" for above in ("", "campaign.") for name in _LISTS
                                 for all_ in ("[]", "{}"))}
)  # fmt: skip
_THREAT = frozenset({"threat.script", "threat.operating_system_name", "threat.display_name"})

# Tried in this order: "not detected" has the word "detected", too.
_NOT_SEEN = re.compile(r"\b(?:not|un|never)[ -]?(?:prevented|blocked|detected|logged|alerted)|missed", re.IGNORECASE)
_RATED = (
    (_NOT_SEEN, Severity.MEDIUM),
    (re.compile(r"prevent|block|quarantin|fail|error|denied|unsuccessful", re.IGNORECASE), Severity.INFORMATIONAL),
    (re.compile(r"detected|alert|logged", re.IGNORECASE), Severity.LOW),
    (re.compile(r"succe|complete|executed|\bok\b", re.IGNORECASE), Severity.MEDIUM),
)
_YES, _NO = frozenset({"true", "yes", "1", "y"}), frozenset({"false", "no", "0", "n"})
_TAGGED = re.compile(r"att&ck-(technique|tactic):(\S{1,40})", re.IGNORECASE)
_TECHNIQUE_ID = re.compile(r"(?<![A-Za-z0-9])(T\d{4}(?:\.\d{3})?)(?!\d)", re.ASCII)


def sniff_csv(head: bytes) -> bool:
    return bool(header_of(head, _wanted(head)))


def walk_table(stream: ByteStream) -> Iterator[Item]:
    head, whole = beginning(stream)
    return walk_csv(whole, _wanted(head), _KNOWN, kept="as notes")


def _wanted(head: bytes) -> list[set[str]]:
    """The columns of which a table must have some: less is enough where it names the product."""
    return _WANTED + _NAMED if _SCYTHE.search(text_of(head)) else _WANTED


def sniff_json(head: bytes) -> bool:
    if not _THREAT.isdisjoint(member_paths(head)):
        return True
    names = last_names(head)
    has_end = not names.isdisjoint(plain_names(_ENDS))
    steps = (*_OF_A_STEP, *_TECHNIQUE, *_TITLE) if _SCYTHE.search(text_of(head)) else ("rtags",)
    return has_end and not names.isdisjoint(plain_names(steps))


def walk_steps(stream: ByteStream) -> Iterator[Item]:
    """The steps of a campaign. Raises `WrongFormat` for a document that only defines what one would do."""
    is_definition = has_results = False
    title = "results of Scythe"
    left_out = frozenset({_STEPS_OF_A_THREAT})
    for item in walk_objects(stream, items=_PATHS, known=_KNOWN, sniff=sniff_json, title=title, left_out=left_out):
        if item.raw.path == _STEPS_OF_A_THREAT:
            is_definition = True
        else:
            has_results = True
            yield item
    if is_definition and not has_results:
        raise WrongFormat("The file is a threat definition of Scythe: it says what a campaign does and has no results.")


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    entry = entry_of(raw, _KNOWN)
    techniques = _techniques(entry)
    module = line(entry.get(*_MODULE))
    title = line(entry.get(*_TITLE) or " ".join(filter(None, (module, *techniques))), TITLE_LIMIT)
    if not title:
        raise RecordError("MISSING_FIELD", "module", "The step has neither title nor module.")
    severity, cautions = _severity(entry)
    asset = _asset(entry, raw.once)
    told = {label: without_credentials(entry.get(*names)) for label, names in _NOTES.items()}
    others = unchosen(entry, *_CHOICES) | entry.extra()
    told |= {name: shown_field(name, value) for name, value in others.items()}
    request, output = (without_credentials(entry.get(*names)) for names in (_REQUEST, _OUTPUT))
    # What belongs to a host is kept with the finding where no host is named.
    fields = {} if asset else told | {"Request": request, "Output": output}
    finding = raw.once.same(_finding(entry, title, severity, techniques, fields))
    if asset is None:
        return (finding, *cautions, *told_of((finding,), SOURCE), *raw.cautions)
    pieces = tuple(evidence(name, text) for name, text in (("Request", request), ("Output", output)) if text)
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        notes="\n".join(f"{label}: {value}" for label, value in told.items() if value)[:TEXT_LIMIT],
        evidence=pieces,
    )
    told_here = told_of((finding, affected), SOURCE)
    return (asset, finding, affected, *cautions, *told_here, *cautions_of(pieces), *raw.cautions)


def _techniques(entry: Entry) -> tuple[str, ...]:
    text = f"{entry.get(*_TECHNIQUE)} {entry.get(*_TAGS)}"
    return tuple(dict.fromkeys(_TECHNIQUE_ID.findall(text)))


def _finding(
    entry: Entry, title: str, severity: Severity, techniques: tuple[str, ...], fields: dict[str, str]
) -> Finding:
    description, advice, references = (
        without_credentials(entry.get(*names)) for names in (_DESCRIPTION, _ADVICE, _REFERENCES)
    )
    tagged = [value for kind, value in _TAGGED.findall(entry.get(*_TAGS)) if kind.lower() == "tactic"]
    tactic = line(entry.get(*_TACTIC)) or " ".join(dict.fromkeys(tagged))
    told = {
        "module": entry.get(*_MODULE),
        "technique": " ".join(techniques) or entry.get(*_TECHNIQUE),
        "tactic": tactic,
        "severity": entry.get(*_SEVERITY),
    }
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
        fields=custom_fields(told | fields),
        tags=techniques,
    )


def _severity(entry: Entry) -> tuple[Severity, tuple[Caution, ...]]:
    word = entry.get(*_SEVERITY)
    if (severity := severity_of_word(word)) is not None:
        return severity, ()
    message = f'The severity "{line(word, 40)}" was read by the outcome.'
    cautions = (Caution("UNKNOWN_SEVERITY", message),) if word else ()
    success, prevented, detected = (entry.get(*names).lower() for names in (_SUCCESS, _PREVENTED, _DETECTED))
    if prevented in _YES or success in _NO:
        return Severity.INFORMATIONAL, cautions
    if detected in _YES:
        return Severity.LOW, cautions
    outcome = " ".join((entry.get(*_STATUS), detected, prevented)).strip()[:TITLE_LIMIT]
    for pattern, severity in _RATED:
        if pattern.search(outcome):
            return severity, cautions
    if success in _YES or (prevented in _NO and detected in _NO):
        return Severity.MEDIUM, cautions
    message = f'The outcome "{line(outcome, 40)}" was read as Informational.'
    return Severity.INFORMATIONAL, (*cautions, Caution("UNKNOWN_SEVERITY", message))


def _asset(entry: Entry, once: Once) -> Asset | None:
    name, address = line(entry.get(*_HOST)), ip_address(entry.get(*_ADDRESS))
    own = ip_address(name)
    if not name and not address:
        return None
    system = line(entry.get(*_SYSTEM))
    asset = Asset(
        ref=name or address,
        name=name or address,
        hostname="" if own else name,
        ips=tuple(dict.fromkeys(each for each in (address, own) if each)),
        mac=mac_address(entry.get(*_MAC)),
        operating_systems=(system,) if system else (),
    )
    return once.same(asset)


FORMATS = (
    Format(
        name="scythe",
        title="results of Scythe",
        family="scythe",
        syntax="json",
        extensions=(".json",),
        sources=("scythe",),
        sniff=sniff_json,
        walk=walk_steps,
        read=read,
    ),
    Format(
        name="scythe_csv",
        title="a table of Scythe",
        family="scythe",
        syntax="csv",
        extensions=(".csv",),
        sources=("scythe",),
        sniff=sniff_csv,
        walk=walk_table,
        read=read,
    ),
)
