"""Reports of Nipper Studio and Titania Nipper in XML: audits of the configuration of network devices.

An item is a section of a part of the report, or a device. Known from public exports of versions 2.5 and 2.8: the parts
with `issuedetails`. Assumed from what other readers take of it: the vulnerability audit, which has a section for each
CVE with an `infobox` and names its devices in a list or a sentence only. CVSS of version 3 is assumed to be written
like version 2. Parts that only list the configuration, and results of compliance without a rating, are no findings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from services.importer.formats.kit.addresses import ip_address
from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError, WrongFormat
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.severity import severity_of_score, severity_of_word
from services.importer.formats.kit.trees import all_text, elements_at, walk_trees
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    finding_key,
    line,
    paragraphs,
    title_number,
    unique_lines,
)
from services.importer.formats.kit.xml import Attributes
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Finding,
    FindingsRecord,
    Score,
    Severity,
)

SOURCE = "Nipper"
ROOT, MARK = "document", "nipperstudio"

# A reference that only repeats the number of the section, which is another one in the next report.
_NUMBERED = re.compile(r"(?:SECTION\.)?[\d.]*")
_DEVICE_IN_LIST = re.compile(r"(.{1,200}?)(?:\s+-\s.*)?\.?", re.DOTALL)
_DEVICE_IN_SENTENCE = re.compile(r"\bThe\s+(.{1,200}?)\s+(?:may be|is|are)\s+affected", re.DOTALL)
_VECTOR_AND_SCORE = re.compile(
    r"(?P<vector>[A-Za-z0-9.]{1,10}:[A-Za-z0-9:./]{1,200})?[\s(]{0,20}(?P<base>\d{1,2}(?:\.\d)?)?\)?"
)
_SYSTEMS = {"v2": "cvss2", "v3": "cvss3_1", "v4": "cvss4"}
_RATINGS = ("rating", "impact", "ease", "fix", "cvssv2-environmental")
_PIECES = frozenset({"EASE", "FINDING", "IMPACT", "RECOMMENDATION", "SUMMARY"})
_FIELD_LIMIT = 16_384


def sniff(head: bytes) -> bool:
    root, attributes = xml_root(head)
    return root == ROOT and f"{MARK}=" in attributes


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_trees(
        stream,
        roots=frozenset({ROOT}),
        items=frozenset({"device", "section"}),
        contexts={"information": None, "devices": None, "report": None, "part": _part},
        check=_check,
    )


def _check(attributes: Attributes) -> None:
    if MARK not in attributes:
        raise WrongFormat(f"The file is XML with the root element <{ROOT}>, but no report of Nipper Studio.")


def _part(part: Element, _: object) -> str:
    return line(part.get("title", ""))


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    element: Element = raw.value
    if element.tag == "device":
        return (_asset(raw, element), *raw.cautions)
    if element.find("issuedetails") is not None:
        return (*_issue(raw, element), *raw.cautions)
    if cves_in((element.get("title", ""),)):
        return (*_vulnerability(raw, element), *raw.cautions)
    return raw.cautions


def _issue(raw: Node, section: Element) -> tuple[FindingsRecord, ...]:
    """A finding of the security audit."""
    title, ref = _title(section), section.get("ref", "").strip()
    ratings = tuple(
        (each.tag.lower(), all_text(each), each.get("score", ""))
        for each in elements_at(section, "issuedetails/ratings/*")
    )
    texts = _pieces(section)
    named = {"part": raw.above[0] if raw.above else "", "finding_id": all_text(next(section.iter("FindingID"), None))}

    def make() -> tuple[Finding, tuple[Caution, ...]]:
        told = {name: text for name, text, _ in ratings}
        scores = _rated(ratings)
        severity, cautions = _severity(told.get("rating", ""), scores, title)
        found = Finding(
            key=finding_key("" if _NUMBERED.fullmatch(ref) else ref, title),
            number=title_number(title),
            title=title,
            severity=severity,
            description=paragraphs(*(texts.get(name, "") for name in ("FINDING", "IMPACT", "EASE")))[:TEXT_LIMIT],
            recommendations=texts.get("RECOMMENDATION", "")[:TEXT_LIMIT],
            source=SOURCE,
            cves=cves_in((title,)),
            scores=scores,
            fields=_filled(named | {name: told.get(name, "") for name in _RATINGS}),
        )
        return found, cautions

    # One issue may have a section for each group of devices.
    found, cautions = raw.once(("issue", title, ref, ratings, *named.values(), *texts, *texts.values()), make)
    devices = [_asset(raw, device) for device in elements_at(section, "issuedetails/devices/device")]
    return (*_placed(found, devices, texts.get("FINDING", "")), *cautions)


def _vulnerability(raw: Node, section: Element) -> tuple[FindingsRecord, ...]:
    """A CVE of the vulnerability audit."""
    title = _title(section)
    told = {line(each.get("label", "")): all_text(each) for each in elements_at(section, "infobox/infodata")}
    scores = _labelled(told)
    severity, cautions = _severity(told.get("Rating", "") or told.get("Severity", ""), scores, title)
    links = (all_text(link) for link in section.iter("weblink"))
    found = Finding(
        key=finding_key(cves_in((title,))[0], title),
        number=title_number(title),
        title=title,
        severity=severity,
        description=_pieces(section).get("SUMMARY", "")[:TEXT_LIMIT],
        references=unique_lines(*links)[:TEXT_LIMIT],
        source=SOURCE,
        cves=cves_in((title,)),
        scores=scores,
        fields=_filled({"part": raw.above[0] if raw.above else "", **told}),
    )
    names = [each.get("name", "") for each in section.iter("device")] or _named(section)
    devices = [_asset(raw, Element("device", name=name)) for name in names if name.strip()]
    return (*_placed(raw.once.same(found), devices, ""), *cautions)


def _title(section: Element) -> str:
    title = line(section.get("title", ""), TITLE_LIMIT)
    if not title:
        raise RecordError("MISSING_FIELD", "title", "The section has no title.")
    return title


def _placed(found: Finding, devices: list[Asset], proof: str) -> Iterator[FindingsRecord]:
    yield found
    pieces = (evidence("Finding", proof),) if proof else ()
    for asset in devices:
        yield asset
        yield AffectedAsset(finding=found.key, asset=asset.ref, evidence=pieces)
    yield from cautions_of(pieces)


def _severity(rating: str, scores: tuple[Score, ...], title: str) -> tuple[Severity, tuple[Caution, ...]]:
    found = severity_of_word(rating)
    if found is None:
        bases = [each.base for each in scores if each.base is not None]
        found = severity_of_score(bases[-1]) if bases else None
    if found is not None:
        return found, ()
    message = f'"{title[:200]}" has neither a rating nor a score; it is Informational.'
    return Severity.INFORMATIONAL, (Caution("UNKNOWN_SEVERITY", message),)


def _rated(ratings: tuple[tuple[str, str, str], ...]) -> tuple[Score, ...]:
    """Scores of elements like `cvssv2-base` and `cvssv2-temporal`: each its name, the vector, the score."""
    parts = {name: (vector, base) for name, vector, base in ratings}
    made = (
        score(system, *parts[f"cvss{version}-base"], *parts.get(f"cvss{version}-temporal", ("", "")))
        for version, system in _SYSTEMS.items()
        if f"cvss{version}-base" in parts
    )
    return tuple(each for each in made if each is not None)


def _labelled(told: dict[str, str]) -> tuple[Score, ...]:
    """Scores of an infobox: `CVSSv2 Base` is labelled so, and written `AV:N/… (7.5)`."""
    found: dict[str, tuple[str, str]] = {}
    for label, text in told.items():
        word, _, kind = label.lower().partition(" ")
        system = _SYSTEMS.get(word.removeprefix("cvss"), "")
        parts = _VECTOR_AND_SCORE.fullmatch(text)
        if system and parts is not None and kind.startswith(("base", "score")):
            vector, base = found.get(system, ("", ""))
            found[system] = vector or parts["vector"] or "", base or parts["base"] or ""
    made = (score(system, *texts) for system, texts in found.items())
    return tuple(each for each in made if each is not None)


def _named(section: Element) -> list[str]:
    """The devices that a section "Affected Device" names."""
    names: list[str] = []
    for inner in section.findall("section"):
        if "device" in inner.get("title", "").lower():
            listed = (_DEVICE_IN_LIST.fullmatch(all_text(each)) for each in inner.iter("listitem"))
            names += [found[1] for found in listed if found]
            names += _DEVICE_IN_SENTENCE.findall(" ".join(map(all_text, inner.findall("text"))))
    return names


def _asset(raw: Node, device: Element) -> Asset:
    told = device.get("name", ""), device.get("type", ""), device.get("os", "").strip()
    version = device.get("osversion", "") if told[-1] else ""

    def make() -> Asset:
        name, kind, system = map(line, told)
        if not name:
            raise RecordError("MISSING_FIELD", "name", "The device has no name.")
        ip = ip_address(name)
        return Asset(
            ref=name,
            name=name,
            hostname="" if ip else name,
            ips=(ip,) if ip else (),
            operating_systems=(line(f"{system} {version}"),) if system else (),
            type="Network Device",
            description=kind,
        )

    return raw.once(("asset", *told, version), make)


def _pieces(section: Element) -> dict[str, str]:
    """What is written in the sections inside, by their reference or title."""
    found: dict[str, str] = {}
    for inner in section.findall("section"):
        if names := _PIECES & {inner.get("ref", ""), inner.get("title", "").upper()}:
            name = min(names)
            written = _written(inner)
            found[name] = paragraphs(found[name], written) if name in found else written
    return found


def _written(section: Element) -> str:
    """The texts, lists and tables of a section as plain text."""
    blocks = []
    for child in section:
        if child.tag == "list":
            blocks.append("\n".join(f"- {line(all_text(item), _FIELD_LIMIT)}" for item in child.findall("listitem")))
        elif child.tag == "table":
            blocks.append(_table(child))
        elif child.tag == "section":
            blocks.append(paragraphs(child.get("title", ""), _written(child)))
        else:
            blocks.append(all_text(child))
    return paragraphs(*blocks)


def _table(table: Element) -> str:
    rows = [[line(all_text(each), _FIELD_LIMIT) for each in elements_at(table, "headings/heading")]]
    rows += ([_cell(cell) for cell in row] for row in elements_at(table, "tablebody/tablerow"))
    return "\n".join([table.get("title", ""), *(" | ".join(row) for row in rows if row)]).strip()


def _cell(cell: Element) -> str:
    return ", ".join(map(all_text, cell.findall("item"))) or all_text(cell)


def _filled(fields: dict[str, str]) -> dict[str, str]:
    return {name[:NAME_LIMIT]: text.strip()[:_FIELD_LIMIT] for name, text in fields.items() if text.strip()}


FORMAT = Format(
    name="nipper",
    title="a Nipper report",
    family="nipper",
    syntax="xml",
    extensions=(".xml",),
    sources=("nipper",),
    sniff=sniff,
    walk=walk,
    read=read,
)
