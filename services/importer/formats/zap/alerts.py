"""What alerts of ZAP become, whether they stand in XML or in JSON.

A finding is an alert by its reference (`10055-4`). Where the reference is no more than the id of the plugin, or there
is none (before 2.9), the name counts as well: some plugins raise alerts of several names, such as one for each HTTP
method, and all alerts that people write by hand are of plugin -1. Texts are HTML since 2.0 and stay so.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from services.importer.formats.kit.addresses import Origin, origin
from services.importer.formats.kit.evidence import cautions_of
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.members import Members, each, is_true, text
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    PORT_MAX,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    custom_fields,
    digest,
    finding_key,
    line,
    paragraphs,
    public_number,
    whole,
)
from services.importer.formats.kit.web import message, proof, web_asset
from services.importer.targets.findings.records import AffectedAsset, Caution, Finding, FindingsRecord, Severity

SOURCE = "OWASP ZAP"

# https://www.zaproxy.org/docs/desktop/start/features/alerts/
_RISKS = {"0": Severity.INFORMATIONAL, "1": Severity.LOW, "2": Severity.MEDIUM, "3": Severity.HIGH}
_FALSE_POSITIVE = "0"
# It was called reliability before 2.4.
_CONFIDENCE = ("confidence", "reliability")
_RISK_AND_CONFIDENCE = re.compile(r"\s*(\w+)(?:\s*\(([^)]*)\))?")

_NAME_DIGITS = 16
_CWE_MAX = 999_999

# How JSON and XML call the parts of messages.
_REQUEST_HEADER, _REQUEST_BODY = ("request-header", "requestheader"), ("request-body", "requestbody")
_RESPONSE_HEADER, _RESPONSE_BODY = ("response-header", "responseheader"), ("response-body", "responsebody")

# What a finding is made of.
_DEFINING = (
    "pluginid",
    "alertRef",
    "alert",
    "name",
    "riskcode",
    "riskdesc",
    "confidencedesc",
    "desc",
    "solution",
    "reference",
    "cweid",
    "wascid",
    "systemic",
)


class Head(NamedTuple):
    """What stands before the instances of an alert and tells which finding they are of. "" is unknown."""

    key: str
    title: str
    is_false_positive: bool


def site_of(members: Members) -> Origin:
    """The origin of a site by its `name` (a URL), `host`, `port` and `ssl`."""
    place = origin(text(members, "name", "host"))
    number = whole(text(members, "port"))
    port = number if number is not None and number <= PORT_MAX else place.port
    scheme = place.scheme or {"true": "https", "false": "http"}.get(text(members, "ssl"), "")
    return Origin(scheme, line(text(members, "host")) or line(place.host), port)


def head_of(alert: Members) -> Head:
    title = line(text(alert, "name", "alert"), TITLE_LIMIT)
    plugin, reference = line(text(alert, "pluginid")), line(text(alert, "alertRef"))
    is_false_positive = text(alert, *_CONFIDENCE) == _FALSE_POSITIVE
    if plugin and reference.startswith(f"{plugin}-"):
        key = finding_key(reference, title)
    elif title and (whole(plugin) or 0) > 0:
        key = finding_key(f"{plugin}:{digest(title.casefold())[:_NAME_DIGITS]}", title)
    else:
        key = finding_key(None, title) if title else ""
    return Head(key, title, is_false_positive)


def finding_of(alert: Members, head: Head, once: Once) -> tuple[Finding, tuple[Caution, ...]]:
    """The finding that an alert is, and what people should know about it."""
    if not head.key or not head.title:
        raise RecordError("MISSING_FIELD", "alert", "The alert has no name.", line(text(alert, "pluginid")))
    # Before 2.11 instances have none of their own.
    others = text(alert, "otherinfo") if not _has_place(alert) else ""
    tags = tuple(line(text(tag, "tag")) for tag in each(alert, "tags"))
    severity, cautions = _severity(alert)

    def make() -> Finding:
        description, solution, reference = (text(alert, name) for name in ("desc", "solution", "reference"))
        number = whole(text(alert, "cweid")) or 0
        found = _RISK_AND_CONFIDENCE.match(text(alert, "riskdesc"))
        fields = {
            "plugin_id": text(alert, "pluginid"),
            "alert_ref": text(alert, "alertRef"),
            "confidence": text(alert, "confidencedesc") or (found and found[2]) or text(alert, *_CONFIDENCE),
            "wasc_id": text(alert, "wascid") if whole(text(alert, "wascid")) else "",
            "systemic": "true" if is_true(alert, "systemic") else "",
        }
        return Finding(
            key=head.key,
            number=public_number(text(alert, "pluginid"), head.title),
            title=head.title,
            severity=severity,
            description=paragraphs(description, others)[:TEXT_LIMIT],
            recommendations=solution[:TEXT_LIMIT],
            references=reference[:TEXT_LIMIT],
            source=SOURCE,
            cves=cves_in([head.title, *tags, description, others, reference]),
            cwes=(number,) if 0 < number <= _CWE_MAX else (),
            fields=custom_fields(fields),
            tags=tuple(tag for tag in tags if tag and not cves_in([tag])),
        )

    key = ("finding", head.key, others, *tags, *(text(alert, name) for name in (*_DEFINING, *_CONFIDENCE)))
    return once(key, make), cautions


def instance_of(instance: Members, head: Head, site: Origin, once: Once) -> tuple[FindingsRecord, ...]:
    """Where an alert was raised: the asset, the place on it with its proof."""
    if not head.key:
        raise RecordError("MISSING_FIELD", "alert", "The alert of this instance has no name.")
    url = line(text(instance, "uri"), URL_LIMIT)
    place = site if site.host or not url else origin(url)
    asset = web_asset(place, once)
    if asset is None:
        raise RecordError("MISSING_FIELD", "host", "Neither the site nor the instance names a host.", url)
    parameter = line(text(instance, "param"))
    request = message(text(instance, *_REQUEST_HEADER), text(instance, *_REQUEST_BODY))
    # Instances of one URL and parameter are one place with the proof of all.
    pieces = proof(
        attack=text(instance, "attack"),
        evidence=text(instance, "evidence"),
        other_information=text(instance, "otherinfo"),
        request=request or " ".join(part for part in (line(text(instance, "method")), url) if part),
        response=message(text(instance, *_RESPONSE_HEADER), text(instance, *_RESPONSE_BODY)),
    )
    affected = AffectedAsset(
        finding=head.key,
        asset=asset.ref,
        port=place.port,
        protocol="tcp" if place.port else "",
        service=place.scheme[:NAME_LIMIT],
        location=url,
        parameters=(parameter,) if parameter else (),
        evidence=pieces,
    )
    return (asset, affected, *cautions_of(pieces))


def alert_records(alert: Members, head: Head, site: Origin, once: Once) -> tuple[FindingsRecord, ...]:
    """The finding of an alert, and its place where it has one of its own: before 2.5 each instance was an alert."""
    if head.is_false_positive:
        return (Caution("FALSE_POSITIVE", f'An alert "{head.title}" is marked as a false positive and left out.'),)
    finding, cautions = finding_of(alert, head, once)
    placed = instance_of(alert, head, site, once) if _has_place(alert) else ()
    return (finding, *placed, *cautions)


def _has_place(alert: Members) -> bool:
    return bool(text(alert, "uri"))


def _severity(alert: Members) -> tuple[Severity, tuple[Caution, ...]]:
    if (found := _RISKS.get(text(alert, "riskcode"))) is not None:
        return found, ()
    words = _RISK_AND_CONFIDENCE.match(text(alert, "riskdesc"))
    severity = severity_of_word(words[1]) if words else None
    if severity is not None:
        return severity, ()
    told = line(text(alert, "riskcode", "riskdesc"), 40)
    return Severity.INFORMATIONAL, (Caution("UNKNOWN_SEVERITY", f'The risk "{told}" was read as Informational.'),)
