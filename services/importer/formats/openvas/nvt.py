"""Makes a test of an `nvt` element, in the shapes it has had since OpenVAS 6.

Newer ones have `severities`, `solution` and `refs`; older ones have all texts in `tags`, and `cve`, `bid`, `xref` as
lists in one text. The oldest have no tags: there the description of the result says it all, under headings.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element

from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.trees import all_text, elements_at, text_of
from services.importer.formats.kit.values import decimal
from services.importer.formats.openvas.report import Test
from services.importer.targets.findings.records import Score

# Values may have a bar, too; what follows one that separates is a name.
_TAG = re.compile(r"\|(?=[A-Za-z_]{1,40}=)")
_LISTED = re.compile(r",\s+")
_NOTHING = frozenset({"", "NOBID", "NOCVE", "NOTAG", "NOXREF"})
_SYSTEMS = {"cvss_base_v2": "cvss2", "cvss_base_v3": "cvss3_1", "cvss_base_v4": "cvss4"}
_HEADINGS = {
    "summary": "summary",
    "overview": "summary",
    "vulnerability insight": "insight",
    "insight": "insight",
    "affected software/os": "affected",
    "impact": "impact",
    "solution": "solution",
    "fix": "solution",
}
_HEADING = re.compile(
    rf"^[ \t]{{0,20}}({'|'.join(_HEADINGS)})[ \t]{{0,20}}:[ \t]{{0,20}}$", re.MULTILINE | re.IGNORECASE
)
_OLD_FULL_SCALE, _SCALE = 100, 10.0


def test_of(nvt: Element) -> Test:
    tags = _tags(nvt.findtext("tags") or "")
    references, cves, bids, certs, others = _references(nvt)
    epss, solution = nvt.find("epss/max_severity"), nvt.find("solution")
    return Test(
        oid=nvt.get("oid", "").strip(),
        name=text_of(nvt, "name"),
        family=text_of(nvt, "family"),
        summary=tags.get("summary", ""),
        insight=tags.get("insight", ""),
        affected=tags.get("affected", ""),
        impact=tags.get("impact", ""),
        detection=tags.get("vuldetect", ""),
        solution=all_text(solution) or tags.get("solution", ""),
        solution_type=solution.get("type", "") if solution is not None else tags.get("solution_type", ""),
        references=references,
        cves=cves,
        bids=bids,
        certs=certs,
        epss_score=text_of(epss, "score") if epss is not None else "",
        epss_percentile=text_of(epss, "percentile") if epss is not None else "",
        others=others,
        scores=_scores(nvt, tags.get("cvss_base_vector", "")),
    )


def with_headings(test: Test, description: str) -> Test:
    """The test with what the description of a result says of it under headings; as it is where there are none."""
    parts = _HEADING.split(description)
    found: dict[str, Any] = {}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        name = _HEADINGS[heading.lower()]
        if text.strip():
            found.setdefault(name, text.strip())
    return test._replace(**found) if found else test


def _tags(text: str) -> dict[str, str]:
    """`a=1|b=2` as a map, without what is empty."""
    pairs = (part.partition("=") for part in _TAG.split(text) if part not in _NOTHING)
    return {name.strip(): value.strip() for name, _, value in pairs if value.strip()}


def _references(nvt: Element) -> tuple[str, str, str, str, str]:
    """URLs, CVEs, ids of Bugtraq, of CERTs, and others with their kind: lines each."""
    found: dict[str, list[str]] = {"url": [], "cve": [], "bid": [], "cert": [], "": []}
    for ref in elements_at(nvt, "refs/ref"):
        kind, name = ref.get("type", "").lower(), ref.get("id", "").strip()
        kind = "cert" if "cert" in kind else "cve" if kind == "cve_id" else kind
        _add(found, kind, name)
    for kind in ("cve", "bid"):
        for name in text_of(nvt, kind).split(","):
            _add(found, kind, name.strip())
    for name in _LISTED.split(text_of(nvt, "xref")):
        kind, _, url = name.partition(":")
        _add(found, "url" if kind == "URL" else "", url if kind == "URL" else name)
    for ref in elements_at(nvt, "cert/cert_ref"):
        _add(found, "cert", ref.get("id", ""))
    url, cve, bid, cert, others = ("\n".join(dict.fromkeys(names)) for names in found.values())
    return url, cve, bid, cert, others


def _add(found: dict[str, list[str]], kind: str, name: str) -> None:
    if name in _NOTHING:
        return
    if kind in found:
        found[kind].append(name)
    else:
        found[""].append(f"{kind}: {name}")


def _scores(nvt: Element, vector: str) -> tuple[Score, ...]:
    """One score for each version of CVSS: of `severities`, else the vector among the tags with the base score."""
    made = [
        score(_SYSTEMS.get(each.get("type", ""), ""), text_of(each, "value"), _base(text_of(each, "score")))
        for each in elements_at(nvt, "severities/severity")
    ]
    made.append(score("", vector, text_of(nvt, "cvss_base")) if vector else None)
    known: dict[str, Score] = {}
    for each in made:
        if each is not None and each.system:
            known.setdefault(each.system, each)
    return tuple(known.values())


def _base(text: str) -> str:
    """A base score as it is now; before GVM 21 its scale was 0 to 100."""
    number = decimal(text)
    if number is None or number <= _SCALE:
        return text
    return f"{number * _SCALE / _OLD_FULL_SCALE:.1f}"
