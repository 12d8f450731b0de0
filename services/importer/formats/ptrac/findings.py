"""Findings of PlexTrac, as its API shows them and its exports hold them (finding object 2.6.7)."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.members import Members, as_text, each, inner, text, texts
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.values import (
    FIELD_COUNT,
    FIELD_LIMIT,
    NAME_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    custom_fields,
    finding_key,
    line,
    public_number,
    whole,
)
from services.importer.targets.findings.records import Caution, Finding, Score, Severity

SOURCE = "PlexTrac"

# Members of `risk_score`, and of `fields.scores` in older findings.
_RISK_SCORES = MappingProxyType({"CVSS2": "cvss2", "CVSS3": "cvss3", "CVSS3_1": "cvss3_1", "CVSS4": "cvss4"})
_FIELD_SCORES = MappingProxyType({"cvss": "cvss2", "cvss3": "cvss3_1", "cvss4": "cvss4"})
_ROW_SEVERITY, _ROW_TITLE = 1, 2
_LATEST_SECOND = 253_402_300_799


def key_of(finding: Members) -> str:
    """The key of a finding: PlexTrac's number of it, which is unique in its report."""
    return finding_key(text(finding, "flaw_id"), _title(finding))


def key_named_in(evidence: Members) -> str:
    """The key of the finding that a piece of evidence names; "" where it names none."""
    number = text(evidence, "flaw_id", "finding_id", "flawId", "findingId")
    return finding_key(number, "") if number else ""


def finding_of(finding: Members) -> tuple[Finding, list[Caution]]:
    """The definition, and what is to be said about it. Raises `RecordError` for a finding without a title."""
    title = _title(finding)
    if not title:
        raise RecordError("MISSING_FIELD", "title", "The finding has no title.", text(finding, "flaw_id", "id"))
    notes: list[Caution] = []
    identifiers = inner(finding, "common_identifiers")
    record = Finding(
        key=key_of(finding),
        number=public_number(text(finding, "flaw_id"), title),
        title=title,
        severity=_severity(finding, notes),
        description=_long(finding, "description", notes),
        recommendations=_long(finding, "recommendations", notes),
        references=_long(finding, "references", notes),
        source=line(text(finding, "source"), NAME_LIMIT) or SOURCE,
        cves=cves_in(_named(identifiers, "CVE")),
        cwes=cwes_in(name if not name.isdigit() else f"CWE-{name}" for name in _named(identifiers, "CWE")),
        scores=_scores(finding),
        fields=_fields(finding, identifiers, notes),
        tags=tuple(line(tag) for tag in texts(finding, "tags")),
    )
    return record, notes


def exhibit_note(exhibits: list[Members]) -> list[Caution]:
    """Pictures and videos have no place here; their captions are kept by the caller."""
    message = "Images and other exhibits of findings are not kept; their captions are."
    return [Caution("EXHIBIT_LEFT_OUT", message) for _ in exhibits]


def captions_of(exhibits: list[Members]) -> str:
    """One line for each exhibit."""
    return "\n".join(line(text(exhibit, "caption", "exhibitID", "id")) or "(no caption)" for exhibit in exhibits)


def _title(finding: Members) -> str:
    return line(text(finding, "title"), TITLE_LIMIT) or line(_of_row(finding, _ROW_TITLE), TITLE_LIMIT)


def _of_row(finding: Members, index: int) -> str:
    """A cell of the row that stands in `data` for lists of findings."""
    row = finding.get("data")
    return as_text(row[index]) if isinstance(row, list) and len(row) > index else ""


def _severity(finding: Members, notes: list[Caution]) -> Severity:
    word = text(finding, "severity") or _of_row(finding, _ROW_SEVERITY)
    severity = severity_of_word(word)
    if severity is None:
        number = whole(text(finding, "sev", "severity_key"))
        severity = Severity(number) if number is not None and number <= Severity.INFORMATIONAL else None
    if severity is None:
        notes.append(Caution("UNKNOWN_SEVERITY", f'The severity "{word[:40]}" was read as Informational.'))
        return Severity.INFORMATIONAL
    return severity


def _long(finding: Members, name: str, notes: list[Caution]) -> str:
    found = text(finding, name)
    if len(found) > TEXT_LIMIT:
        notes.append(Caution("TEXT_CUT", f"The {name} of a finding was cut to {TEXT_LIMIT} characters."))
    return found[:TEXT_LIMIT]


def _named(identifiers: Members, kind: str) -> list[str]:
    """The names of CVEs or CWEs, or the numbers in their place."""
    listed = identifiers.get(kind)
    values = listed if isinstance(listed, list) else []
    return [text(value, "name", "id") if isinstance(value, dict) else as_text(value) for value in values]


def _scores(finding: Members) -> tuple[Score, ...]:
    found: dict[str, Score] = {}
    risk = inner(finding, "risk_score")
    for name in filter(risk.__contains__, _RISK_SCORES):
        said, system = inner(risk, name), _RISK_SCORES[name]
        parts = inner(said, "subScore")
        base = text(parts, "base") or text(said, "overall")
        if one := score(system, text(said, "vector"), base, temporal=text(parts, "temporal")):
            found.setdefault(one.system, one)
    older = inner(_fields_by_key(finding), "scores")
    for name in filter(older.__contains__, _FIELD_SCORES):
        said = inner(older, name)
        if one := score(_FIELD_SCORES[name], text(said, "calculation"), text(said, "value")):
            found.setdefault(one.system, one)
    # PlexTrac writes all of them, those that nobody has filled in with 0.
    return tuple(found[system] for system in sorted(found) if _is_said(found[system]))


def _is_said(one: Score) -> bool:
    return bool(one.vector or one.base or one.temporal)


def _fields_by_key(finding: Members) -> Members:
    """`fields` as a map; some clients write a list."""
    listed = finding.get("fields")
    if isinstance(listed, list):
        return {text(field, "key", "id", "label"): field for field in listed if isinstance(field, dict)}
    return inner(finding, "fields")


def _fields(finding: Members, identifiers: Members, notes: list[Caution]) -> dict[str, str]:
    by_key = _fields_by_key(finding)
    fields: dict[str, str] = {
        "Status": text(finding, "status"),
        "Sub-status": text(finding, "subStatus"),
        "Assigned to": text(finding, "assignedTo"),
        "Visibility": "draft" if text(finding, "visibility") == "draft" else "",
        "Created": moment(text(finding, "createdAt")),
        "Closed": moment(text(finding, "closedAt")),
    }
    general = inner(inner(by_key, "scores"), "general")
    fields[text(general, "label") or "Score"] = text(general, "value")
    for key, field in by_key.items():
        if key != "scores":
            fields[_label(key, field)] = _value(field)
    for number, sample in enumerate((*each(finding, "code_samples"), *each(identifiers, "code_samples")), 1):
        name = text(sample, "caption") or "Code sample"
        fields[name if name not in fields else f"{name} {number}"] = text(sample, "code")
    exhibits = each(finding, "exhibits")
    fields["Exhibits"] = captions_of(exhibits)
    notes += exhibit_note(exhibits)
    kept = custom_fields(fields)
    said = [value for value in fields.values() if value.strip()]
    if len(said) > len(kept):
        notes.append(Caution("FIELDS_LEFT_OUT", f"A finding has more than {FIELD_COUNT} fields; others are left out."))
    notes += [
        Caution("TEXT_CUT", f"A field of a finding was cut to {FIELD_LIMIT} characters.")
        for value in said
        if len(value) > FIELD_LIMIT
    ]
    return kept


def _label(key: str, field: Any) -> str:
    return line(text(field, "label", "key")) if isinstance(field, dict) and text(field, "label", "key") else line(key)


def _value(field: Any) -> str:
    """The text of a field; lists of values by commas."""
    return ", ".join(texts(field, "value")) if isinstance(field, dict) else as_text(field)


def moment(milliseconds: str) -> str:
    """A time in milliseconds since 1970 as ISO 8601; what is no such number stays as it is."""
    number = whole(milliseconds)
    if number is None or number // 1000 > _LATEST_SECOND:
        return milliseconds
    return datetime.fromtimestamp(number // 1000, UTC).isoformat().replace("+00:00", "Z")
