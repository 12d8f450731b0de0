"""Makes evidence of what Qualys WAS sent and got: payloads, requests, responses, collected data."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from services.importer.formats.kit.evidence import base64_text, evidence
from services.importer.formats.kit.qualys import something
from services.importer.formats.kit.trees import elements_at, text_of
from services.importer.targets.findings.records import Evidence

_FOR_URLS = str.maketrans("-_", "+/")


def payload_evidence(element: Element) -> tuple[Evidence, ...]:
    """The evidence in the `PAYLOADS` of a report."""
    payloads = elements_at(element, "PAYLOADS/PAYLOAD")
    return tuple(
        evidence(f"{caption} {number}" if len(payloads) > 1 else caption, text)
        for number, payload in enumerate(payloads, 1)
        for caption, text in _of_payload(payload)
        if text.strip()
    )


def decoded(element: Element | None) -> str:
    """The text of an element that may be base64, of either alphabet, without padding or cut."""
    if element is None:
        return ""
    text = "".join(element.itertext())
    if element.get("base64", "").lower() != "true":
        return text.strip("\n")
    return base64_text(text.strip().translate(_FOR_URLS)).strip("\n")


def _of_payload(payload: Element) -> Iterator[tuple[str, str]]:
    yield "Payload", something(text_of(payload, "PAYLOAD"))
    yield "Request", _request(payload.find("REQUEST"))
    yield "Response", decoded(payload.find("RESPONSE/CONTENTS"))
    yield "Evidence", decoded(payload.find("RESPONSE/EVIDENCE"))


def _request(request: Element | None) -> str:
    """A request as it went over the wire, as far as the report tells."""
    if request is None:
        return ""
    first = f"{text_of(request, 'METHOD')} {text_of(request, 'URL')}".strip()
    headers = (f"{text_of(each, 'key')}: {text_of(each, 'value')}" for each in elements_at(request, "HEADERS/HEADER"))
    head = "\n".join(filter(None, (first, *headers)))
    body = decoded(request.find("BODY"))
    return f"{head}\n\n{body}" if body.strip() else head
