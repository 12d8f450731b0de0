"""Maps issues of Burp Suite to records, whatever report they come from.

A finding is an issue type; the issues of a type differ in place, detail and sometimes severity. All that extensions
report shares one type, so there the name tells findings apart. Texts are HTML and stay so, like the fields they go to.
"""

from __future__ import annotations

from services.importer.formats.burp.report import Body, Definition, Issue, Site
from services.importer.formats.kit.addresses import ip_address
from services.importer.formats.kit.evidence import base64_text, body_text, cautions_of, evidence
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    clean,
    finding_key,
    line,
    public_number,
    title_number,
)
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Evidence,
    Finding,
    FindingsRecord,
    Port,
    Severity,
)

SOURCE = "Burp Suite"

# PortSwigger's list of issue types: 0x08000000, "Extension generated issue".
_EXTENSION_TYPE = "134217728"

_FALSE_POSITIVE = "false positive"

# How Burp ends the description of an insertion point, longest first: "/search [q parameter]".
_KINDS = (" JSON parameter", " XML parameter", " HTTP header", " parameter", " cookie", " header")


def read(raw: Issue) -> tuple[FindingsRecord, ...]:
    word = raw.definition.texts["severity"].strip()
    notes = [Caution(*note) for note in raw.notes]
    if word.lower() == _FALSE_POSITIVE:
        title = line(raw.definition.texts["name"], TITLE_LIMIT)
        return (Caution("FALSE_POSITIVE", f'An issue "{title}" is marked as a false positive and left out.'), *notes)
    if severity_of_word(word) is None:
        notes.append(Caution("UNKNOWN_SEVERITY", f'The severity "{word[:40]}" was read as Informational.'))
    finding = raw.definition.finding = raw.definition.finding or _finding(raw.definition)
    asset = raw.site.asset = raw.site.asset or _asset(raw.site)
    place = raw.site.origin
    path, location = raw.texts.get("path", ""), raw.texts.get("location", "")
    proof = _evidence(raw)
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        port=place.port,
        protocol="tcp" if place.port else "",
        service=place.scheme[:NAME_LIMIT],
        location=line(raw.site.url.strip() + path.strip(), URL_LIMIT),
        parameters=_parameters(location.strip().removeprefix(path.strip())),
        notes=_notes(raw)[:TEXT_LIMIT],
        evidence=proof,
    )
    return (asset, finding, affected, *cautions_of(proof), *notes)


def _finding(definition: Definition) -> Finding:
    texts = definition.texts
    title, kind = line(texts["name"], TITLE_LIMIT), line(texts["type"])
    if not title:
        raise RecordError("MISSING_FIELD", "name", "The issue has no name.", kind)
    is_typed = bool(kind) and kind != _EXTENSION_TYPE
    classes = texts["vulnerabilityClassifications"]
    links = "\n".join(part for part in (texts["references"].strip(), classes.strip()) if part)
    return Finding(
        key=finding_key(kind if is_typed else None, title),
        number=public_number(kind, title) if is_typed else title_number(title),
        title=title,
        severity=severity_of_word(texts["severity"]) or Severity.INFORMATIONAL,
        description=(texts["issueBackground"].strip() or texts.get("issueDetail", "").strip())[:TEXT_LIMIT],
        recommendations=texts["remediationBackground"].strip()[:TEXT_LIMIT],
        references=links[:TEXT_LIMIT],
        source=SOURCE,
        cves=cves_in([title, texts["references"], classes]),
        cwes=cwes_in([classes]),
        fields={"issue_type": kind} if kind else {},
    )


def _asset(site: Site) -> Asset:
    place = site.origin
    host = line(place.host) or line(site.ip)
    if not host:
        raise RecordError("MISSING_FIELD", "host", "The issue names no host.")
    addresses = dict.fromkeys(ip for text in (site.ip, host) if (ip := ip_address(text)))
    return Asset(
        ref=host,
        name=host,
        hostname="" if ip_address(host) else host,
        ips=tuple(addresses),
        type="Application",
        ports=(Port(place.port, "tcp", place.scheme),) if place.port else (),
    )


def _parameters(insertion_point: str) -> tuple[str, ...]:
    text = insertion_point.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return ()
    name = line(text[1:-1])
    for kind in _KINDS:
        if name.endswith(kind):
            return (name.removesuffix(kind),)
    return (name,) if name else ()


def _notes(raw: Issue) -> str:
    parts = [raw.texts.get("issueDetail", "").strip()]
    if raw.details:
        parts.append("<ul>" + "".join(f"<li>{detail.strip()}</li>" for detail in raw.details) + "</ul>")
    parts.append(raw.texts.get("remediationDetail", "").strip())
    if confidence := line(raw.texts.get("confidence", "")):
        parts.append(f"<p>Confidence: {confidence}</p>")
    return "\n".join(part for part in parts if part)


def _evidence(raw: Issue) -> tuple[Evidence, ...]:
    pieces = []
    for number, exchange in enumerate(raw.exchanges, 1):
        suffix = f" {number}" if len(raw.exchanges) > 1 else ""
        for caption, body in ((f"Request{suffix}", exchange.request), (f"Response{suffix}", exchange.response)):
            if body is not None and (text := _body(body)):
                pieces.append(evidence(caption, text))
    for name, texts in raw.events:
        if texts:
            told = (f"{_words(label)}: {text}" if label else text for label, text in texts)
            pieces.append(evidence(_words(name), "\n".join(told)))
    return tuple(pieces)


def _body(body: Body) -> str:
    if isinstance(body.content, bytes):
        return body_text(body.content)
    return base64_text(body.content) if body.is_base64 else clean(body.content)


def _words(name: str) -> str:
    """`collaboratorEvent` as "Collaborator event"."""
    return line("".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)).capitalize()
