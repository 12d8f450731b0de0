"""Reports of Qualys WAS: of scans (`WAS_SCAN_REPORT`) and of web applications (`WAS_WEBAPP_REPORT`).

An item is a vulnerability, a sensitive content, an information gathered, an entry of the glossary, or an application.
The glossary is the last part but one: a detection names its finding by QID, and the two are joined when the import is
merged. So is the application of what names no URL: reports of scans tell it at the very end.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement

from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import ByteStream, Format, Item, Position
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.qualys import (
    Vulnerability,
    finding,
    listed,
    qid,
    scores,
    something,
    system_of_version,
)
from services.importer.formats.kit.trees import elements_at, text_of, walk_trees
from services.importer.formats.kit.values import NAME_LIMIT, TEXT_LIMIT, digest, line
from services.importer.formats.qualys_was.applications import SOURCE, affected, application, asset_at, has_host
from services.importer.formats.qualys_was.payloads import decoded, payload_evidence
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, FindingsRecord

ROOTS = frozenset({"WAS_SCAN_REPORT", "WAS_WEBAPP_REPORT"})

_DETECTIONS = {
    "VULNERABILITY": "Vulnerability",
    "SENSITIVE_CONTENT": "Sensitive content",
    "INFORMATION_GATHERED": "Information gathered",
}
# The reference of the one application of a report that does not group by application.
_THE_APPLICATION = "application"
# What the walk says of an element, by an attribute.
_IS_FIRST, _IS_LEFT_OUT = "is-first", "is-left-out"
# QIDs whose detections are told apart.
_QID_COUNT, _QID_LENGTH = 100_000, 18
_UNNAMED = "Web application"


def sniff(head: bytes) -> bool:
    return xml_root(head)[0] in ROOTS


def walk(stream: ByteStream) -> Iterator[Item]:
    kept, left_out = set[str](), set[str]()
    is_wanted = is_known = False
    some_url = ""
    for item in _items(stream):
        element, grouped = item.raw.value, bool(item.raw.above)
        if element.tag in _DETECTIONS:
            seen = left_out if _left_out(element) else kept
            if len(seen) < _QID_COUNT:
                seen.add(text_of(element, "QID")[:_QID_LENGTH])
            url = text_of(element, "URL")
            some_url = some_url or url
            is_wanted = is_wanted or not (grouped or has_host(url))
        elif element.tag == "QID" and (number := text_of(element, "QID")) in left_out and number not in kept:
            element.set(_IS_LEFT_OUT, "true")
        elif element.tag == "WEBAPP" and not is_known:
            is_known = True
            element.set(_IS_FIRST, "true")
        yield item
    if is_wanted and not is_known:
        yield Item(Node(_stand_in(some_url), (), Once()), Position(path="APPENDIX"))


def _items(stream: ByteStream) -> Iterator[Item]:
    return walk_trees(
        stream,
        roots=ROOTS,
        items=frozenset({*_DETECTIONS, "QID", "WEBAPP"}),
        contexts={
            "RESULTS": None,
            "WEB_APPLICATION": _reference,
            "VULNERABILITY_LIST": None,
            "SENSITIVE_CONTENT_LIST": None,
            "INFORMATION_GATHERED_LIST": None,
            "GLOSSARY": None,
            "QID_LIST": None,
            "APPENDIX": None,
        },
        keep=frozenset({"ID", "NAME", "URL", "OPERATING_SYSTEM", "TAGS"}),
        closing=frozenset({"WEB_APPLICATION"}),
    )


def _stand_in(url: str) -> Element:
    """The application of a report that names none: where its detections are, if any says so."""
    element = Element("WEBAPP", {_IS_FIRST: "true"})
    SubElement(element, "URL").text = url
    SubElement(element, "NAME").text = "" if url else _UNNAMED
    return element


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    element: Element = raw.value
    if element.get(_IS_LEFT_OUT):
        number = qid(text_of(element, "QID"))
        return (Caution("FIXED", f"QID {number} is fixed or ignored wherever it was and left out."), *raw.cautions)
    if element.tag == "QID":
        return (*finding(_in_glossary(element), SOURCE), *raw.cautions)
    if element.tag in _DETECTIONS:
        return (*_detection(raw, element), *raw.cautions)
    return (_application(raw, element), *raw.cautions)


def _reference(element: Element, _above: tuple[object, ...]) -> str:
    """What a web application of a grouped report is referred to by."""
    known = text_of(element, "ID") or text_of(element, "NAME") or text_of(element, "URL")
    return f"{_THE_APPLICATION}:{known if len(known) < NAME_LIMIT - len(_THE_APPLICATION) else digest(known)}"


def _application(raw: Node, element: Element) -> Asset:
    if element.tag == "WEB_APPLICATION":
        ref: str = raw.above[0]
    else:
        ref = _THE_APPLICATION if element.get(_IS_FIRST) else _reference(element, ())
    tags = tuple(tag for text in element.iterfind(".//TAGS//*") if (tag := line(text.text or "")))
    told = text_of(element, "URL"), text_of(element, "NAME"), text_of(element, "OPERATING_SYSTEM"), tags
    return raw.once(("application", ref, *told), lambda: application(ref, *told))


def _detection(raw: Node, element: Element) -> tuple[FindingsRecord, ...]:
    key = qid(text_of(element, "QID"))
    if reason := _left_out(element):
        code = "FIXED" if reason == "fixed" else "IGNORED"
        return (Caution(code, f"QID {key} is marked as {reason} at a place and left out there."),)
    url = something(text_of(element, "URL"))
    asset = asset_at(raw.once, url)
    ref: str = asset.ref if asset else raw.above[0] if raw.above else _THE_APPLICATION
    proof = payload_evidence(element)
    if (data := decoded(element.find("DATA"))).strip():
        proof = (*proof, evidence("Data", data))
    place: AffectedAsset = affected(key, ref, url, text_of(element, "PARAM"), _notes(element)[:TEXT_LIMIT], proof)
    return (*((asset,) if asset else ()), place, *cautions_of(proof))


def _left_out(element: Element) -> str:
    """Why a detection is left out; "" where it is not."""
    if text_of(element, "STATUS").lower() == "fixed":
        return "fixed"
    return "ignored" if text_of(element, "IGNORED").lower() in {"true", "yes", "1"} else ""


def _notes(element: Element) -> str:
    path = " > ".join(line(each.text or "") for each in elements_at(element, "ACCESS_PATH/URL"))
    return listed(
        ("Type", _DETECTIONS[element.tag]),
        ("Potential", "yes" if text_of(element, "POTENTIAL").lower() == "true" else ""),
        ("Status", text_of(element, "STATUS")),
        ("Detected", text_of(element, "DETECTION_DATE")),
        ("First detected", text_of(element, "FIRST_TIME_DETECTED")),
        ("Last detected", text_of(element, "LAST_TIME_DETECTED")),
        ("Last tested", text_of(element, "LAST_TIME_TESTED")),
        ("Times detected", text_of(element, "TIMES_DETECTED")),
        ("Authentication", text_of(element, "AUTHENTICATION")),
        ("Function", something(text_of(element, "FUNCTION"))),
        ("Form", something(text_of(element, "FORM_ENTRY_POINT"))),
        ("Access path", path),
        ("AJAX", "yes" if text_of(element, "AJAX").lower() == "true" else ""),
        ("Detection id", text_of(element, "DETECTION_ID")),
        ("Unique id", text_of(element, "UNIQUE_ID")),
    )


def _in_glossary(entry: Element) -> Vulnerability:
    vector = text_of(entry, "CVSS_V3/VECTOR_STRING")
    base = text_of(entry, "CVSS_V3/BASE")
    return Vulnerability(
        qid=text_of(entry, "QID"),
        title=text_of(entry, "TITLE"),
        level=text_of(entry, "SEVERITY"),
        threat=text_of(entry, "DESCRIPTION"),
        impact=text_of(entry, "IMPACT"),
        solution=text_of(entry, "SOLUTION"),
        cves=cves_in(text_of(each, "ID") or each.text or "" for each in elements_at(entry, "CVE_LIST/CVE")),
        cwes=cwes_in((text_of(entry, "CWE"),)),
        scores=scores(
            ("cvss2", text_of(entry, "CVSS_BASE"), text_of(entry, "CVSS_TEMPORAL")),
            (
                system_of_version(text_of(entry, "CVSS_V3/CVSS3_VERSION")),
                f"{base} ({vector.strip('()')})" if vector else base,
                text_of(entry, "CVSS_V3/TEMPORAL"),
            ),
        ),
        fields=(
            ("category", text_of(entry, "CATEGORY")),
            ("group", text_of(entry, "GROUP")),
            ("owasp", text_of(entry, "OWASP")),
            ("wasc", text_of(entry, "WASC")),
            ("cvss3_attack_vector", text_of(entry, "CVSS_V3/ATTACK_VECTOR")),
        ),
    )


FORMAT = Format(
    name="qualys_was_report",
    title="a Qualys WAS report",
    family="qualys_was",
    syntax="xml",
    extensions=(".xml",),
    sources=("qualys",),
    sniff=sniff,
    walk=walk,
    read=read,
)
