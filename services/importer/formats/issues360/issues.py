"""What issues of Invicti Enterprise (once Netsparker) become, and of Acunetix 360, the same product by another name.

Reports in JSON and XML have the same members, differently written: `RemedialActions` and `remedial-actions`. So names
are compared without case and hyphens. A finding is a type (`CookieNotMarkedAsHttpOnly`). Texts are HTML and stay so.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from typing import Any
from xml.etree.ElementTree import Element

from services.importer.formats.kit.addresses import origin
from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.evidence import cautions_of
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.members import Members, each, inner, text, texts
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    custom_fields,
    finding_key,
    line,
    paragraphs,
    title_number,
    whole,
)
from services.importer.formats.kit.web import proof, web_asset
from services.importer.targets.findings.records import (
    AffectedAsset,
    Caution,
    Finding,
    FindingsRecord,
    Score,
    Severity,
)

ACUNETIX, INVICTI = "Acunetix 360", "Invicti"

# The lowest level, which is no word of other tools.
_BEST_PRACTICE = "bestpractice"
# States, of which an issue has several; accepted risks and those that are looked at again are still there.
_LEFT_OUT = {
    "falsepositive": ("FALSE_POSITIVE", "a false positive"),
    "fixed": ("FIXED", "fixed"),
    "fixedconfirmed": ("FIXED", "fixed"),
}
_SYSTEMS = {"cvss": "cvss3", "cvss31": "cvss3_1", "cvss40": "cvss4"}
_CWE_MAX = 999_999
_PARAMETERS, _CVES = 50, 1_000

# What a finding is made of, besides its classification.
_DEFINING = (
    "severity",
    "description",
    "impact",
    "exploitationskills",
    "remedialactions",
    "remedialprocedure",
    "externalreferences",
    "remedyreferences",
)


def folded(value: Any) -> Any:
    """A decoded JSON value whose names are lower case and have no hyphens."""
    if isinstance(value, dict):
        return {
            _folded(name): folded(inside) if isinstance(inside, (dict, list)) else inside
            for name, inside in value.items()
        }
    return [folded(inside) for inside in value] if isinstance(value, list) else value


def folded_element(element: Element) -> Any:
    """An XML element as `folded` gives a JSON value: its text, or its attributes and children by name.

    Children of equal names are a list.
    """
    if not len(element) and not element.attrib:
        return element.text
    members: Members = {_folded(name): value for name, value in element.items()}
    for child in element:
        name, value = _folded(child.tag), folded_element(child)
        known = members.get(name)
        if known is None:
            members[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            members[name] = [known, value]
    # Some versions write a value as an attribute, others as the text beside one.
    if element.text and element.text.strip():
        members.setdefault("value", element.text)
    return members


def issue_records(issue: Members, target: str, source: str, once: Once) -> tuple[FindingsRecord, ...]:
    """The records of an issue with folded names; `target` is the URL that was scanned, `source` the product's name."""
    title = line(text(issue, "name", "title", "type"), TITLE_LIMIT)
    if not title:
        raise RecordError("MISSING_FIELD", "Name", "The issue has neither a name nor a type.", text(issue, "lookupid"))
    for state in text(issue, "state").lower().replace(" ", "").split(","):
        if state in _LEFT_OUT:
            code, word = _LEFT_OUT[state]
            return (Caution(code, f'An issue "{title}" is marked as {word} and left out.'),)
    url = line(text(issue, "url"), URL_LIMIT) or target
    place = origin(url)
    asset = web_asset(place, once)
    if asset is None:
        raise RecordError("MISSING_FIELD", "Url", "Neither the issue nor the report names a URL.")
    finding, cautions = _finding(issue, title, source, once)
    request, response = inner(issue, "httprequest"), inner(issue, "httpresponse")
    parameters = _parameters(request)
    # Issues of one place and parameter are one place with the proof of all.
    pieces = proof(
        details="\n".join(_details(issue, parameters)),
        proof_of_concept=text(issue, "proofofconcept"),
        request=text(request, "content"),
        response=text(response, "content"),
    )
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        port=place.port,
        protocol="tcp" if place.port else "",
        service=place.scheme[:NAME_LIMIT],
        location=url,
        parameters=tuple(name for parameter in parameters if (name := line(text(parameter, "name")))),
        notes=_notes(issue)[:TEXT_LIMIT],
        evidence=pieces,
    )
    return (asset, finding, affected, *cautions_of(pieces), *cautions)


def target_records(target: str, once: Once) -> tuple[FindingsRecord, ...]:
    """What was scanned is an asset, whatever was found."""
    asset = web_asset(origin(target), once)
    return (asset,) if asset else ()


@lru_cache(1024)
def _folded(name: str) -> str:
    return name.replace("-", "").lower()


def _finding(issue: Members, title: str, source: str, once: Once) -> tuple[Finding, tuple[Caution, ...]]:
    classes = inner(issue, "classification")
    kind, word = text(issue, "type"), text(issue, "severity")
    tags = tuple(line(tag) for tag in texts(inner(issue, "tags"), "tag") or texts(issue, "tags"))
    severity = severity_of_word(word)
    cautions: tuple[Caution, ...] = ()
    if severity is None:
        severity = Severity.INFORMATIONAL
        if word.lower().replace(" ", "") != _BEST_PRACTICE:
            told = f'The severity "{line(word, 40)}" was read as Informational.'
            cautions = (Caution("UNKNOWN_SEVERITY", told),)
    named = {name: text(issue, name) for name in _DEFINING}
    known = cves_in(told for one in _listed(issue, "knownvulnerabilities", "knownvulnerability") for told in _told(one))

    def make() -> Finding:
        description = paragraphs(
            named["description"],
            _headed("Impact", named["impact"]),
            _headed("Skills for exploitation", named["exploitationskills"]),
        )
        references = paragraphs(named["externalreferences"], named["remedyreferences"])
        return Finding(
            key=finding_key(kind, title),
            number=title_number(title),
            title=title,
            severity=severity,
            description=description[:TEXT_LIMIT],
            recommendations=paragraphs(named["remedialactions"], named["remedialprocedure"])[:TEXT_LIMIT],
            references=references[:TEXT_LIMIT],
            source=source,
            cves=tuple(dict.fromkeys([*cves_in([title, description, references]), *known]))[:_CVES],
            cwes=_numbers(text(classes, "cwe")),
            scores=_scores(classes),
            fields=custom_fields({"type": kind, "severity": _other_word(word, severity), **_standards(classes)}),
            tags=tags,
        )

    return once(("issue", kind, title, source, repr(classes), *tags, *known, *named.values()), make), cautions


def _other_word(word: str, severity: Severity) -> str:
    """The word of the tool where it is not ours."""
    return "" if severity.name.lower().startswith(word.lower()) else word


def _headed(heading: str, html: str) -> str:
    return f"<h4>{heading}</h4>\n{html}" if html else ""


def _numbers(listed: str) -> tuple[int, ...]:
    """The CWE numbers in a list like `16, 200`."""
    numbers = (whole(part) or 0 for part in listed.split(","))
    return tuple(dict.fromkeys(number for number in numbers if 0 < number <= _CWE_MAX))


def _standards(classes: Members) -> Members:
    """What other standards say: `owasp`, `wasc`, `pci32`, `iso27001`, …"""
    return {name: told for name in classes if name != "cwe" and (told := text(classes, name))}


def _scores(classes: Members) -> tuple[Score, ...]:
    found = []
    for name, system in _SYSTEMS.items():
        values = inner(classes, name)
        # JSON has a member for each type of score, XML a list of them.
        by_type = {
            text(part, "type").lower(): text(part, "value") for member in values for part in each(values, member)
        }
        made = score(system, text(values, "vector"), by_type.get("base", ""), "", by_type.get("temporal", ""))
        if made:
            found.append(made)
    return tuple(found)


def _parameters(request: Members) -> list[Members]:
    """Those of the request that the issue is about: JSON has an array of them, XML one within an element."""
    listed = each(request, "parameters")
    return [one for part in listed for one in each(part, "parameter") or [part]][:_PARAMETERS]


def _notes(issue: Members) -> str:
    facts = {
        "State": text(issue, "state"),
        "Confirmed": text(issue, "confirmed"),
        "Certainty": text(issue, "certainty"),
        "First seen": text(issue, "firstseendate"),
        "Last seen": text(issue, "lastseendate"),
        "Method": text(inner(issue, "httprequest"), "method"),
        "Status code": text(inner(issue, "httpresponse"), "statuscode"),
        "Id": text(issue, "lookupid"),
    }
    return "\n".join(f"{name}: {value}" for name, value in facts.items() if value)


def _details(issue: Members, parameters: list[Members]) -> Iterator[str]:
    """What was sent and found at this place, line by line."""
    for parameter in parameters:
        yield f"Parameter {text(parameter, 'name')} ({text(parameter, 'type')}): {text(parameter, 'value')}"
    for info in _listed(issue, "extrainformation", "info"):
        # XML has these as attributes that were escaped twice.
        yield unescape(f"{text(info, 'name')}: {text(info, 'value')}")
    for known in _listed(issue, "knownvulnerabilities", "knownvulnerability"):
        title, *references = _told(known)
        told = f"Known vulnerability: {title} ({text(known, 'severity')})"
        yield " ".join((told, *references))


def _told(known: Members) -> list[str]:
    """Title and references of a vulnerability that software of this version is known to have."""
    return [text(known, "title"), *texts(known, "references")]


def _listed(issue: Members, name: str, inside: str) -> list[Members]:
    """The objects of an array in JSON, the children `inside` of an element in XML."""
    return [one for part in each(issue, name) for one in each(part, inside) or [part]]
