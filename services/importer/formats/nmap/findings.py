"""Makes findings of the rows of the vulners script; equal rows make one object."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from services.importer.formats.kit.cvss import system_of
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.memo import Memo
from services.importer.formats.kit.severity import severity_of_score, severity_of_word
from services.importer.formats.kit.values import (
    KEY_LIMIT,
    NAME_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    decimal,
    line,
    title_number,
    unique_lines,
)
from services.importer.targets.findings.records import Finding, Score, Severity

SOURCE = "Nmap Vulners"

Row = dict[str, str]

_CVE = re.compile(r"CVE-\d{4}-\d{4,10}", re.ASCII)
_CVE_BEGIN = "CVE-"
_FIELDS = ("type", "ai_score", "epss", "epss_percentile", "exploit_known", "exploitation", "kev", "published")
_ABOUT_BEGIN = "The Vulners database lists"
_ABOUT_END = "for software whose version Nmap detected. The version alone was compared."
_HIGHEST = 10.0
_KNOWN_BYTES = 4 << 20
# What a finding takes in memory besides its references.
_FINDING_BYTES = 1_500
# Few, because their scripts are remembered too, and what does not fit in a processor's cache costs more than it saves.
_LISTED_COUNT = 512


class Findings:
    """The findings of one file, as far as they are remembered."""

    def __init__(self) -> None:
        self._known: Memo[tuple[tuple[str, str], ...], Finding] = Memo(_KNOWN_BYTES)
        self.of_listed = lru_cache(_LISTED_COUNT)(_of_listed)
        """The finding of `of` for a row that has these keys alone; None is a key that it lacks."""

    def of(self, name: str, row: Row, links: Sequence[Row]) -> Finding:
        """The finding of a row, with the rows of the exploits that name it."""
        # A row says all about its finding, and the rows of its links the rest.
        key = (*row.items(), *(part for link in links for part in link.items()))
        finding = self._known.get(key)
        if finding is None:
            finding = _of(name, row, links)
            self._known.put(key, finding, _FINDING_BYTES + len(finding.references))
        return finding


def name_of(row: Row) -> str:
    """The id of a row on one line, upper case where it is a CVE."""
    name = line(row.get("id", ""), KEY_LIMIT)
    return name.upper() if is_cve(name) else name


def is_cve(name: str) -> bool:
    return name[: len(_CVE_BEGIN)].upper() == _CVE_BEGIN


def address_of(name: str, row: Row) -> str:
    """Where the database tells more; "" where the row has an address that is none."""
    if href := row.get("href", "").strip():
        return href[:URL_LIMIT] if href.startswith(("http://", "https://")) else ""
    return _address(name, row.get("type", "").strip()[:40])


def _address(name: str, kind: str | None) -> str:
    """Where the database tells more of an id of this kind."""
    return f"https://vulners.com/{kind or 'search'}/{name}"


def _of(name: str, row: Row, links: Sequence[Row]) -> Finding:
    severity, scores = _rating(row.get("cvss", ""), row.get("cvss_type"))
    if not scores:
        severity = severity_of_word(row.get("severity", ""))
    title = line(row.get("title", ""), TITLE_LIMIT)
    address = address_of(name, row)
    others = [row.get("source_href", ""), *(address_of(name_of(link), link) for link in links)]
    fields = {part: row[part][:NAME_LIMIT] for part in _FIELDS if part in row}
    if _is_exploit(row) or any(map(_is_exploit, links)):
        fields["exploit_available"] = "true"
    about = f"{_ABOUT_BEGIN} {name} {_ABOUT_END}"
    return Finding(
        key=name,
        number=title_number(name),
        title=name,
        severity=Severity.INFORMATIONAL if severity is None else severity,
        description=f"{title}\n\n{about}" if title and title != name else about,
        references=unique_lines(address, *others)[:TEXT_LIMIT] if any(others) else address,
        source=SOURCE,
        cves=(name,) if not title and _CVE.fullmatch(name) else cves_in((name, title)),
        scores=scores,
        fields=fields,
    )


def _of_listed(name: str, cvss: str | None, kind: str | None, is_exploit: str | None, cvss_type: str | None) -> Finding:
    severity, scores, fields, folder = _listed_values(cvss, kind, is_exploit, cvss_type)
    return Finding(
        key=name,
        number=title_number(name),
        title=name,
        severity=severity,
        description=f"{_ABOUT_BEGIN} {name} {_ABOUT_END}",
        references=f"{folder}{name}",
        source=SOURCE,
        cves=(name,) if name.startswith(_CVE_BEGIN) else (),
        scores=scores,
        fields=fields,
    )


@lru_cache(1_024)
def _listed_values(
    cvss: str | None, kind: str | None, is_exploit: str | None, cvss_type: str | None
) -> tuple[Severity, tuple[Score, ...], dict[str, str], str]:
    """What the rows of many findings share: severity, scores, fields, the address without the id."""
    severity, scores = _rating(cvss or "", cvss_type)
    fields = {} if kind is None else {"type": kind}
    if is_exploit == "true":
        fields["exploit_available"] = "true"
    return Severity.INFORMATIONAL if severity is None else severity, scores, fields, _address("", kind)


def _rating(cvss: str, cvss_type: str | None) -> tuple[Severity | None, tuple[Score, ...]]:
    base = decimal(cvss)
    if base is None or not 0 <= base <= _HIGHEST:
        return None, ()
    # Before the script named the version, the scores were those of CVSS 2.
    system = (system_of(cvss_type) if cvss_type is not None else "") or "cvss2"
    return severity_of_score(base), (Score(system, "", base),)


def _is_exploit(row: Row) -> bool:
    return row.get("is_exploit", "false").strip().lower() not in {"", "false"}
