"""What the reports of all Qualys products say alike: QIDs, levels of severity, scores.

The severities and the tag of level 1 are PlexTrac's for its Qualys imports (its documentation of the VM and web
application parsers).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from xml.etree.ElementTree import Element

from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.severity import severity_of_score
from services.importer.formats.kit.values import (
    TEXT_LIMIT,
    TITLE_LIMIT,
    line,
    paragraphs,
    public_number,
    unique_lines,
    whole,
)
from services.importer.targets.findings.records import Caution, Finding, Score, Severity

FIELD_COUNT, FIELD_LIMIT = 100, 16_384

_LEVELS = {
    "0": Severity.INFORMATIONAL,
    "1": Severity.INFORMATIONAL,
    "2": Severity.LOW,
    "3": Severity.MEDIUM,
    "4": Severity.HIGH,
    "5": Severity.CRITICAL,
}
_MINIMAL = "1"
# A number, and often its vector behind it: `8.1 (AV:N/AC:H/…)`.
_SCORE = re.compile(r"\s*(\d{1,2}(?:\.\d{1,2})?)\s*(\([^()]{1,500}\))?")
_SYSTEMS = {"3.0": "cvss3", "3.1": "cvss3_1"}
# What stands where there is nothing.
_NOTHING = frozenset({"", "-", "'-", "n/a", "not applicable", "not applicable."})
_NOTHING_LENGTH = 20


class Vulnerability(NamedTuple):
    """What a report says about a QID. Texts are as they stand there, HTML included."""

    qid: str
    title: str
    level: str
    threat: str = ""
    impact: str = ""
    solution: str = ""
    links: tuple[str, ...] = ()
    cves: tuple[str, ...] = ()
    cwes: tuple[int, ...] = ()
    scores: tuple[Score, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()


def finding(
    told: Vulnerability, source: str, otherwise: Severity = Severity.INFORMATIONAL
) -> tuple[Finding | Caution, ...]:
    """The finding of a QID, and what a person should know of it. Raises `RecordError` where there is no QID.

    `otherwise` is its severity where the report tells neither level nor score.
    """
    key = qid(told.qid)
    title = line(told.title, TITLE_LIMIT) or f"QID {key}"
    level = told.level.strip()
    severity = _LEVELS.get(level)
    cautions = []
    if severity is None:
        bases = [each.base for each in told.scores if each.base is not None]
        severity = severity_of_score(bases[-1]) if bases else otherwise
        said = f'has the severity "{level[:40]}", which is none' if level else "has no severity"
        read = "taken from its CVSS score" if bases else f"read as {otherwise.name.capitalize()}"
        cautions.append(Caution("UNKNOWN_SEVERITY", f"QID {key} {said}; it was {read}."))
    description = paragraphs(something(told.threat), headed("Impact", told.impact))
    if len(description) > TEXT_LIMIT:
        cautions.append(Caution("TEXT_CUT", f"The description of QID {key} was cut."))
    fields = (("qualys_severity", level), *told.fields)
    kept = {name: text.strip()[:FIELD_LIMIT] for name, text in fields if something(text)}
    return (
        Finding(
            key=key,
            number=public_number(key, title),
            title=title,
            severity=severity,
            description=description[:TEXT_LIMIT],
            recommendations=something(told.solution)[:TEXT_LIMIT],
            references=unique_lines(*filter(something, told.links))[:TEXT_LIMIT],
            source=source,
            cves=told.cves,
            cwes=told.cwes,
            scores=told.scores,
            fields=dict(list(kept.items())[:FIELD_COUNT]),
            tags=("minimal",) if level == _MINIMAL else (),
        ),
        *cautions,
    )


def qid(text: str) -> str:
    """A QID in its normal form, without zeros before it. Raises `RecordError` for what is none."""
    if (number := whole(text)) is None:
        raise RecordError("INVALID_QID", "QID", "The QID is not a number.", text)
    return str(number)


def scores(*told: tuple[str, str, str]) -> tuple[Score, ...]:
    """Scores from texts like `8.1 (AV:N/…)`: each a system, a base score and a temporal one."""
    made = (score(system, *_parted(base), *_parted(temporal)) for system, base, temporal in told)
    return tuple(each for each in made if each)


def system_of_version(version: str) -> str:
    """The system of CVSS version 3 that a report names; without a name it is 3.0, as Qualys began with."""
    return _SYSTEMS.get(version.strip(), "cvss3")


def something(text: str) -> str:
    """`text` trimmed; "" for what stands where there is nothing: `-`, `N/A`."""
    text = text.strip()
    return "" if len(text) <= _NOTHING_LENGTH and _is_nothing(text) else text


@lru_cache(maxsize=4_096)
def _is_nothing(text: str) -> bool:
    return " ".join(text.split()).casefold() in _NOTHING


def headed(heading: str, text: str) -> str:
    """`text` below a heading; "" where there is none."""
    text = something(text)
    return f"{heading}:\n{text}" if text else ""


def listed(*told: tuple[str, str]) -> str:
    """What there is of this, one line for each: `Status: Active`."""
    return "\n".join(f"{name}: {text}" for name, text in told if text)


def exploits(correlation: Element | None) -> Iterable[tuple[str, str]]:
    """The fields of a `CORRELATION` element: known exploits and malware, one line for each."""
    if correlation is None:
        return
    for name, source, entry in (("exploits", "EXPLT_SRC", "EXPLT"), ("malware", "MW_SRC", "MW_INFO")):
        lines = []
        for group in correlation.iter(source):
            origin = line(group.findtext("SRC_NAME") or "")
            for each in group.iter(entry):
                parts = (line(child.text or "") for child in each)
                lines.append(": ".join(filter(None, (origin, " ".join(filter(something, parts))))))
        yield name, "\n".join(lines)


def _parted(text: str) -> tuple[str, str]:
    """Vector and number of a text like `8.1 (AV:N/…)`."""
    found = _SCORE.fullmatch(text.strip())
    return (found[2] or "", found[1]) if found else ("", "")
