"""Reads the output of Nmap's vulners script: which vulnerabilities of which products.

The tables are the output's machine-readable form since version 1.3; older scripts wrote text alone. A CVE is a finding.
Exploits and advisories become references of the CVEs that they name; one that names none of them is a finding of its
own, so that nothing is lost. Sources: the script's own contract test, and DefectDojo's bands of severity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.values import TEXT_LIMIT
from services.importer.formats.nmap.findings import Findings, Row, address_of, is_cve, name_of
from services.importer.formats.nmap.listing import Listing
from services.importer.formats.nmap.report import Group, Script, Weakness
from services.importer.targets.findings.records import Evidence

# A line of the text: id, score, address and mark with tabs between. Since 1.4 the score reads "cvss3.1: 7.5".
_ROW = re.compile(
    r"\s{0,20}(?P<id>[A-Za-z0-9][A-Za-z0-9:._-]{3,100})\s{1,10}(?:(?P<cvss_type>cvss[\d.]{1,4}):\s{0,5})?"
    r"(?P<cvss>\d{1,2}(?:\.\d{1,2})?)\s{1,10}(?P<href>https?://\S{1,300})"
    r"(?:\s{1,10}(?P<is_exploit>\*[A-Z ]{0,5}EXPLOIT\*))?\s*",
    re.ASCII,
)
_TYPE_IN_ADDRESS = re.compile(r"https?://vulners\.com/([a-z0-9_-]{1,40})/")
_FINDINGS_LIMIT = 10_000
_CAPTION = "vulners"


def weaknesses_of(scripts: Sequence[Script], findings: Findings) -> tuple[Weakness, ...]:
    """The findings of these outputs of one port, each once with all its products. Equal findings are one object."""
    if len(scripts) > 1:
        return _found_in(scripts, findings)
    script = scripts[0]
    if script.weaknesses is None:
        script.weaknesses = _listed(script.listing, findings) if script.listing is not None else None
    if script.weaknesses is None:
        script.weaknesses = _found_in(scripts, findings)
    return script.weaknesses


def _listed(listing: Listing, findings: Findings) -> tuple[Weakness, ...] | None:
    """The quick way for the usual output; None where it repeats an id or has too many."""
    columns, nothing = listing.columns, repeat(None)
    names, scores = columns["id"], columns.get("cvss")
    if len(set(names)) < len(names) or len(names) > _FINDINGS_LIMIT:
        return None
    kinds, marks, versions = (columns.get(key) or nothing for key in ("type", "is_exploit", "cvss_type"))
    found = map(findings.of_listed, names, scores or nothing, kinds, marks, versions)
    product, begin = listing.product, f"{listing.product or '?'}\n    "
    # A listed row has no other references than its address, and less text than evidence may have.
    return tuple(
        [
            (
                finding,
                product,
                (Evidence(_CAPTION, shown := f"{begin}{finding.key}\t{score}\t{finding.references}", len(shown)),),
                (),
            )
            for finding, score in zip(found, scores or repeat(""), strict=False)
        ]
    )


def _found_in(scripts: Sequence[Script], findings: Findings) -> tuple[Weakness, ...]:
    found: dict[str, Seen] = {}
    for script in scripts:
        for product, rows in _groups_of(script):
            for row in rows:
                if name := name_of(row):
                    seen = found.get(name)
                    if seen is None:
                        seen = found[name] = Seen(row, [], [])
                        _check_count(len(found))
                    if product and product not in seen.products:
                        seen.products.append(product)
    others = [name for name in found if not is_cve(name)]
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
    score, address = row.get("cvss", ""), address_of(name, row)
    shown = "\n".join([f"{product}\n    {name}\t{score}\t{address}" for product in products or ("?",)])
    proof = (evidence(_CAPTION, shown),)
    return findings.of(name, row, links), "\n".join(products)[:TEXT_LIMIT], proof, tuple(cautions_of(proof))


def _groups_of(script: Script) -> list[Group]:
    if script.listing is not None:
        return [Group(script.listing.product, script.listing.rows())]
    return script.groups or _groups_in(script.output)


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
