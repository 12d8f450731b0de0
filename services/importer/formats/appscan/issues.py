"""Maps issues of AppScan to records: where they are and what shows them. Their types are mapped by `findings.py`."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from services.importer.formats.appscan.report import Issue, reference_of
from services.importer.formats.kit.addresses import Origin, origin
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.trees import all_text, elements_at, text_of
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    TEXT_LIMIT,
    URL_LIMIT,
    finding_key,
    line,
    paragraphs,
    port_number,
    whole,
)
from services.importer.formats.kit.web import web_asset
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Evidence,
    FindingsRecord,
    Severity,
)

# What AppScan on Cloud calls an issue that is no longer one, and how that is told.
CLOSED = {"fixed": ("FIXED", "fixed"), "noise": ("FALSE_POSITIVE", "noise")}
_SEVERITY_IDS = dict(enumerate(reversed(Severity)))

# AppScan marks what it changed and what it found inside the traffic.
_MARK = re.compile(r"--(?:begin|end)_(?:highlight|mark)_tag--")
_RESPONSE = re.compile(r"^HTTP/\d", re.MULTILINE)
_REQUEST_LINE = re.compile(r"[A-Z]{3,16} (\S{1,8192}) HTTP/", re.ASCII)
_HOST = re.compile(r"^Host: *(\S{1,512})", re.MULTILINE | re.IGNORECASE)
_HEAD_CHARACTERS = 65_536

# What notes tell of an issue: attributes and elements.
_TOLD = (
    ("Source", "@source"),
    ("Sink", "@sink"),
    ("Context", "@context"),
    ("Caller", "@caller"),
    ("Status", "status"),
    ("Found", "date-created"),
    ("Issue", "asoc-issue-id"),
)
_NO_PARAMETER = frozenset({"page", "none", "link", "global", "sourceline"})


def severity_of(issue: Element) -> Severity | None:
    """The severity by its word, else by its number from 0, informational, to 4; None where neither is known."""
    number = whole(text_of(issue, "severity-id"))
    word = severity_of_word(text_of(issue, "severity"))
    return word if word is not None else _SEVERITY_IDS.get(number) if number is not None else None


def is_left_out(issue: Element) -> bool:
    return text_of(issue, "status").lower() in CLOSED


def read_issue(issue: Issue, node: Node) -> tuple[FindingsRecord, ...]:
    element = issue.element
    kind = reference_of(element, "issue-type")
    if not kind:
        raise RecordError("MISSING_FIELD", "issue-type", "The issue names no type.", line(element.get("id", "")))
    if is_left_out(element):
        code, word = CLOSED[text_of(element, "status").lower()]
        return (Caution(code, f'An issue of the type "{kind}" is marked as {word} and left out.'), *node.cautions)
    cautions = []
    if severity_of(element) is None:
        word = line(text_of(element, "severity"), 40)
        cautions.append(Caution("UNKNOWN_SEVERITY", f'The severity "{word}" was read as Informational.'))
    is_static = bool(text_of(element, "source-file") or element.get("filename"))
    affected, asset = (_in_file if is_static else _at_url)(issue, kind, node.once)
    cautions += [*cautions_of(affected.evidence), *node.cautions]
    return (*([asset] if asset else []), affected, *cautions)


def late_ref(reference: str) -> str:
    """What an asset is called by issues that refer to a URL which the file has not defined by then."""
    return f"url:{reference}"[:NAME_LIMIT]


def read_host(host: Element, once: Once) -> tuple[FindingsRecord, ...]:
    """A host that was scanned, whether it has issues or not."""
    place = Origin("", line(text_of(host, "host")), port_number(text_of(host, "port")))
    software = [text for tag in ("web-server", "application-server") if (text := _known(text_of(host, tag)))]
    system = line(_known(text_of(host, "operating-system")))
    asset = web_asset(place, once, system=system, server=line(", ".join(software)))
    if asset is None:
        raise RecordError("MISSING_FIELD", "host", "The scanned host has no name.")
    return (asset,)


def _known(text: str) -> str:
    return "" if text.lower() == "unknown" else text


def _at_url(issue: Issue, kind: str, once: Once) -> tuple[AffectedAsset, Asset | None]:
    element = issue.element
    url = text_of(issue.url, "name") if issue.url is not None else ""
    url = url or text_of(element, "location") or _requested(element)
    if "://" not in url and (host := text_of(element, "host")):
        url = f"{text_of(element, 'scheme') or 'http'}://{host}{text_of(element, 'path')}"
    asset = web_asset(origin(url), once) if url else None
    reference = reference_of(element, "url")
    if asset is None and not reference:
        raise RecordError("MISSING_FIELD", "url", "The issue names no URL.", line(element.get("id", "")))
    place = origin(url) if asset else None
    affected = AffectedAsset(
        finding=finding_key(kind, kind),
        asset=asset.ref if asset else late_ref(reference),
        port=place.port if place else 0,
        protocol="tcp" if place and place.port else "",
        service=place.scheme[:NAME_LIMIT] if place else "",
        location=line(url, URL_LIMIT),
        parameters=_parameters(issue),
        notes=_notes(element),
        evidence=_traffic(element),
    )
    return affected, asset


def _in_file(issue: Issue, kind: str, once: Once) -> tuple[AffectedAsset, Asset]:
    element = issue.element
    file = line(text_of(element, "source-file") or element.get("filename", ""))
    number = line(text_of(element, "line"), 20)
    asset = once(("file", file), lambda: Asset(ref=file, name=file, type="Application"))
    traces = [
        "\n".join(f"{label}: {text}" if label else text for label, text in _trace(information) if text)
        for information in elements_at(element, "variant-group/item/issue-information")
    ]
    affected = AffectedAsset(
        finding=finding_key(kind, kind),
        asset=asset.ref,
        location=line(f"{file}:{number}" if whole(number) else file, URL_LIMIT),
        notes=_notes(element),
        evidence=tuple(evidence("Call trace", trace) for trace in traces if trace),
    )
    return affected, asset


def _trace(information: Element) -> list[tuple[str, str]]:
    calls = [("", all_text(call.find("context"))) for call in information.iter("call-invocation")]
    return [
        ("API", text_of(information, "method-signature")),
        ("Caller", text_of(information, "method-signature2")),
        *calls,
    ]


def _parameters(issue: Issue) -> tuple[str, ...]:
    """The parameter, cookie or header that is affected: the entity, or what AppScan on Cloud calls the element."""
    if issue.entity is not None:
        kind, name = text_of(issue.entity, "entity-type"), text_of(issue.entity, "name")
    else:
        kind, name = text_of(issue.element, "element-type"), text_of(issue.element, "element")
    name = line(name)
    return (name,) if name and is_parameter(kind) else ()


def is_parameter(kind: str) -> bool:
    """Is an entity of this kind, in the words of AppScan, something that a request sends?"""
    return bool(kind) and kind.lower() not in _NO_PARAMETER


def _notes(element: Element) -> str:
    """Why it is an issue, how to check it, what was changed, and what AppScan on Cloud knows of its state."""
    variants = elements_at(element, "variant-group/item")
    reasons = [text_of(variant, "reasoning") for variant in variants]
    tips = [text_of(variant, "issue-information/issue-tip") for variant in variants]
    changes = [all_text(item) for variant in variants for item in elements_at(variant, "differences/item")]
    suites = [
        text_of(suite, "Name") for suite in elements_at(element, "variant-group/item/issue-information/CipherSuite")
    ]
    comments = [all_text(variant.find("comments")) for variant in variants]
    labelled = [
        ("How to check", dict.fromkeys(tips)),
        ("Differences", dict.fromkeys(changes)),
        ("Cipher suites", dict.fromkeys(suites)),
        ("Comments", dict.fromkeys(comments)),
    ]
    parts = [f"{label}: " + "\n".join(filter(None, texts)) for label, texts in labelled if any(texts)]
    for label, name in _TOLD:
        text = element.get(name[1:], "") if name.startswith("@") else text_of(element, name)
        if text.strip():
            parts.append(f"{label}: {line(text)}")
    return _MARK.sub("", paragraphs("\n".join(dict.fromkeys(filter(None, reasons))), "\n".join(parts)))[:TEXT_LIMIT]


def _traffic(element: Element) -> tuple[Evidence, ...]:
    variants = elements_at(element, "variant-group/item")
    pieces = []
    for number, variant in enumerate(variants, 1):
        suffix = f" {number}" if len(variants) > 1 else ""
        for name, prefix in (("test-http-traffic", ""), ("original-http-traffic", "Original ")):
            traffic = _MARK.sub("", variant.findtext(name) or "").strip()
            response = _RESPONSE.search(traffic)
            at = response.start() if response else len(traffic)
            for caption, text in (("request", traffic[:at].strip()), ("response", traffic[at:])):
                if text:
                    pieces.append(evidence(f"{prefix}{caption}".capitalize() + suffix, text))
    return tuple(pieces)


def _requested(element: Element) -> str:
    """The URL that the traffic asks for; "" where it does not name a host."""
    head = _MARK.sub("", (element.findtext("variant-group/item/test-http-traffic") or "")[:_HEAD_CHARACTERS]).lstrip()
    request = _REQUEST_LINE.match(head)
    if request is None:
        return ""
    if "://" in request[1]:
        return request[1]
    host = _HOST.search(head)
    return host[1] + request[1] if host else ""
