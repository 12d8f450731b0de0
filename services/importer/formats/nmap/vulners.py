"""Reads the output of Nmap's vulners script: which vulnerabilities of which products.

The tables are the output's machine-readable form since version 1.3; older scripts wrote text alone. A CVE is a finding.
Exploits and advisories become references of the CVEs that they name; one that names none of them is a finding of its
own, so that nothing is lost. Sources: the script's own contract test, and DefectDojo's bands of severity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from services.importer.formats.kit.cvss import system_of
from services.importer.formats.kit.evidence import evidence
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in
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
from services.importer.formats.nmap.report import Findings, Group, Row, Script, Weakness
from services.importer.targets.findings.records import Finding, Score, Severity

SOURCE = "Nmap Vulners"

# A line of the text: id, score, address and mark with tabs between. Since 1.4 the score reads "cvss3.1: 7.5".
_ROW = re.compile(
    r"\s{0,20}(?P<id>[A-Za-z0-9][A-Za-z0-9:._-]{3,100})\s{1,10}(?:(?P<cvss_type>cvss[\d.]{1,4}):\s{0,5})?"
    r"(?P<cvss>\d{1,2}(?:\.\d{1,2})?)\s{1,10}(?P<href>https?://\S{1,300})"
    r"(?:\s{1,10}(?P<is_exploit>\*[A-Z ]{0,5}EXPLOIT\*))?\s*",
    re.ASCII,
)
_CVE = re.compile(r"CVE-\d{4}-\d{4,10}", re.ASCII)
_TYPE_IN_ADDRESS = re.compile(r"https?://vulners\.com/([a-z0-9_-]{1,40})/")
_FIELDS = ("type", "ai_score", "epss", "epss_percentile", "exploit_known", "exploitation", "kev", "published")
_ABOUT = "The Vulners database lists %s for software whose version Nmap detected. The version alone was compared."
_HIGHEST = 10.0
# What a finding takes in memory besides its references.
_FINDING_BYTES = 1_500
_FINDINGS_LIMIT = 10_000


def weaknesses_of(scripts: Iterable[Script], findings: Findings) -> tuple[Weakness, ...]:
    """The findings of these outputs, each once with all its products. `findings` makes equal ones one object."""
    found: dict[str, Seen] = {}
    for script in scripts:
        for product, rows in script.groups or _groups_in(script.output):
            for row in rows:
                if name := _name(row):
                    seen = found.get(name)
                    if seen is None:
                        seen = found[name] = Seen(row, [], [])
                        _check_count(len(found))
                    if product and product not in seen.products:
                        seen.products.append(product)
    others = [name for name in found if not _is_cve(name)]
    for name in others:
        row = found[name].row
        named = [cve for cve in cves_in((name, row.get("title", ""), row.get("href", ""))) if cve in found]
        for cve in named:
            found[cve].links.append(row)
        if named:
            del found[name]
    return tuple(_weakness(name, seen, findings) for name, seen in found.items())


def _check_count(count: int) -> None:
    if count > _FINDINGS_LIMIT:
        message = f"The script lists more than {_FINDINGS_LIMIT} vulnerabilities of one port."
        raise RecordError("TOO_MANY_FINDINGS", "script", message)


class Seen(NamedTuple):
    """One id in an output: its first row, the products that have it, the rows of exploits that name it."""

    row: Row
    products: list[str]
    links: list[Row]


def _weakness(name: str, seen: Seen, findings: Findings) -> Weakness:
    row, products, links = seen
    address = _address(name, row)
    # A row says all about its finding, and the rows of its links the rest.
    key = (*row.values(), *(part for link in links for part in link.values()))
    finding = findings.get(key)
    if finding is None:
        finding = _finding(name, row, links, address)
        findings.put(key, finding, _FINDING_BYTES + len(finding.references))
    score = row.get("cvss", "")
    shown = "\n".join([f"{product}\n    {name}\t{score}\t{address}" for product in products or ("?",)])
    return Weakness(finding, "\n".join(products)[:TEXT_LIMIT], (evidence("vulners", shown),))


def _finding(name: str, row: Row, links: list[Row], address: str) -> Finding:
    base = decimal(row.get("cvss", ""))
    base = base if base is not None and base <= _HIGHEST else None
    severity = severity_of_word(row.get("severity", "")) if base is None else severity_of_score(base)
    # Before the script named the version, the scores were those of CVSS 2.
    system = (system_of(row["cvss_type"]) if "cvss_type" in row else "") or "cvss2"
    title = line(row.get("title", ""), TITLE_LIMIT)
    others = [row.get("source_href", ""), *(_address(_name(link), link) for link in links)]
    fields = {part: row[part][:NAME_LIMIT] for part in _FIELDS if part in row}
    if _is_exploit(row) or any(map(_is_exploit, links)):
        fields["exploit_available"] = "true"
    about = _ABOUT % name
    return Finding(
        key=name,
        number=title_number(name),
        title=name,
        severity=Severity.INFORMATIONAL if severity is None else severity,
        description=f"{title}\n\n{about}" if title and title != name else about,
        references=unique_lines(address, *others)[:TEXT_LIMIT] if any(others) else address,
        source=SOURCE,
        cves=(name,) if not title and _CVE.fullmatch(name) else cves_in((name, title)),
        scores=() if base is None else (Score(system, "", base),),
        fields=fields,
    )


def _groups_in(output: str) -> list[Group]:
    groups = [Group("", [])]
    for text in output.splitlines():
        if row := _ROW.fullmatch(text):
            values = {key: value for key, value in row.groupdict().items() if value}
            kind = _TYPE_IN_ADDRESS.match(values["href"])
            groups[-1].rows.append({"type": kind[1] if kind else "", **values})
        elif text.rstrip().endswith(":"):
            groups.append(Group(text.strip().removesuffix(":"), []))
    return groups


def _name(row: Row) -> str:
    name = line(row.get("id", ""), KEY_LIMIT)
    return name.upper() if _is_cve(name) else name


def _is_cve(name: str) -> bool:
    return name[:4].upper() == "CVE-"


def _is_exploit(row: Row) -> bool:
    return row.get("is_exploit", "false").strip().lower() not in {"", "false"}


def _address(name: str, row: Row) -> str:
    if href := row.get("href", "").strip():
        return href[:URL_LIMIT] if href.startswith(("http://", "https://")) else ""
    return f"https://vulners.com/{row.get('type', '').strip()[:40] or 'search'}/{name}"
