"""Maps types of issues of an AppScan report to findings, when all that the report says of them has been read."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from services.importer.formats.appscan.report import Report, Seen, reference_of
from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.trees import all_text, elements_at, text_of
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    custom_fields,
    finding_key,
    line,
    paragraphs,
    title_number,
    unique_lines,
    whole,
)
from services.importer.targets.findings.records import Finding, Score

SOURCE = "HCL AppScan"

CWE_MAX = 10**6


def finding_of(report: Report, reference: str, seen: Seen) -> Finding:
    """The finding of a type: its definition where the report has one, and the worst of its issues."""
    issue = seen.element
    kind = report.find("issue-type-group", reference)
    kind = kind if kind is not None else Element("item")
    advisory = report.find("advisory-group", reference_of(kind, "advisory") or reference_of(issue, "advisory"))
    article = report.find("article-group", reference)
    names = (
        text_of(kind, "name"),
        text_of(issue, "issue-type-name"),
        text_of(advisory, "advisory/name") if advisory is not None else "",
        text_of(article, "displayName") if article is not None else "",
        reference,
    )
    title = next(name for text in names if (name := line(text, TITLE_LIMIT)))
    technology = kind.get("technology", "") or text_of(issue, "technology")
    threat = _first(kind, issue, "threat-class")
    told = {"issue_type": reference, "threat_class": report.name("threat-class-group", threat) or threat,
            "x_force": text_of(kind, "xfid"), "technology": technology}  # fmt: skip
    return Finding(
        key=finding_key(reference, title),
        number=title_number(title),
        title=title,
        severity=seen.worst,
        description=_description(report, kind, issue, advisory, article)[:TEXT_LIMIT],
        recommendations=_recommendations(report, kind, issue, article)[:TEXT_LIMIT],
        references=_references(report, threat, advisory, article)[:TEXT_LIMIT],
        source=SOURCE,
        cves=cves_in([text_of(kind, "cve")]),
        cwes=_cwes(kind, issue),
        scores=_scores(issue),
        fields=custom_fields(told),
        tags=(line(technology),) if technology else (),
    )


def _description(
    report: Report, kind: Element, issue: Element, advisory: Element | None, article: Element | None
) -> str:
    technical = advisory.find("advisory/testTechnicalDescription") if advisory is not None else None
    cause = article.find("cause") if article is not None else None
    risks = [report.name("security-risk-group", ref) for ref in _references_of(kind, issue, "security-risks")]
    causes = [
        report.name("cause-group", ref)
        for ref in (*_references_of(kind, issue, "causes"), *_references_of(kind, issue, "cause-id"))
    ]
    products = article.find("affectedProducts") if article is not None else None
    risk = article.find("risk") if article is not None else None
    return paragraphs(
        prose(technical),
        prose(cause),
        _labelled("Risk", unique_lines(*risks) or prose(risk)),
        _labelled("Causes", unique_lines(*causes)),
        _labelled("Affected products", prose(products)),
    )


def _recommendations(report: Report, kind: Element, issue: Element, article: Element | None) -> str:
    task = report.name("remediation-group", _first(kind, issue, "remediation"))
    advice = report.find("fix-recommendation-group", reference_of(kind, "fix-recommendation"))
    parts = [task, prose(advice.find("general")) if advice is not None else ""]
    if advice is not None:
        # Those for one platform follow; their names are AppScan's: asp-dot-net, j2ee, php.
        parts += [_labelled(platform.tag, prose(platform)) for platform in advice if platform.tag != "general"]
    if article is not None:
        parts.append(prose(article.find("recommendations")))
    parts += [prose(fix) for fix in elements_at(issue, "fix/item/general")]
    return paragraphs(*dict.fromkeys(parts))


def _references(report: Report, threat: str, advisory: Element | None, article: Element | None) -> str:
    lines = []
    if advisory is not None:
        lines += [_link(link) for link in elements_at(advisory, "advisory/references/link")]
        lines.append(text_of(advisory, "advisory/threatClassification/reference"))
    if (threat_class := report.find("threat-class-group", threat)) is not None:
        lines.append(threat_class.get("href", ""))
    if article is not None:
        for item in elements_at(article, "externalReferences/item"):
            lines.append(" ".join(filter(None, (text_of(item, "title"), text_of(item, "url")))))
    return unique_lines(*lines)


def _cwes(kind: Element, issue: Element) -> tuple[int, ...]:
    texts = [text_of(kind, "cwe"), text_of(issue, "cwe"), text_of(issue, "cwe/ref")]
    numbers = [number for text in texts if (number := whole(text)) and number < CWE_MAX]
    return tuple(dict.fromkeys(numbers))


def _scores(issue: Element) -> tuple[Score, ...]:
    vector = issue.find("cvss-vector")
    base = all_text(vector) if vector is not None and not len(vector) else ""
    temporal = ""
    if vector is not None and len(vector):
        base = text_of(vector, "vector") or text_of(vector, "base-vector")
        temporal = text_of(vector, "temporal-vector")
    found = score("", base, text_of(issue, "cvss-score"), temporal)
    # A number alone does not say of which version it is.
    return (found,) if found and found.system else ()


def prose(element: Element | None) -> str:
    """The text of an advisory: one line for each paragraph, empty ones at breaks, links with their address."""
    return "\n".join(_lines(element)).strip() if element is not None else ""


def _lines(element: Element) -> Iterator[str]:
    if element.tag == "br":
        yield ""
    elif element.tag == "link":
        yield _link(element)
    elif len(element):
        for child in element:
            yield from _lines(child)
    else:
        yield (element.text or "").rstrip()


def _link(link: Element) -> str:
    text, target = (link.text or "").strip(), link.get("target", "").strip()
    return text if target in text else f"{text} {target}".strip()


def _labelled(label: str, text: str) -> str:
    return f"{label}:\n{text}" if text else ""


def _first(kind: Element, issue: Element, name: str) -> str:
    return reference_of(kind, name) or reference_of(issue, name)


def _references_of(kind: Element, issue: Element, name: str) -> list[str]:
    texts = [ref.text or "" for element in (kind, issue) for ref in element.iterfind(f"{name}/ref")]
    return list(dict.fromkeys(line(text, NAME_LIMIT) for text in texts))
