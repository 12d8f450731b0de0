"""What all exports of OpenVAS share: the finding of a test, its severity, places and hosts."""

from __future__ import annotations

import re

from services.importer.formats.kit.addresses import ip_address
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.severity import severity_of_score, severity_of_word
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    PORT_MAX,
    TEXT_LIMIT,
    TITLE_LIMIT,
    decimal,
    finding_key,
    line,
    paragraphs,
    public_number,
    unique_lines,
)
from services.importer.formats.openvas.report import Test
from services.importer.targets.findings.records import Asset, Finding, Severity

SOURCE = "OpenVAS"

# Greenbone's words and numbers for what says nothing of the host: -1 false positive, -2 debug, -3 error.
_NO_RESULT = {"false positive": "a false positive", "debug": "a debug message", "error": "an error of the scanner"}
_NO_RESULT_NUMBERS = {-1.0: "a false positive", -2.0: "a debug message", -3.0: "an error of the scanner"}

_FIELD_LIMIT = 16_384
_PLACE = re.compile(r"(?:(?P<service>[^()]{0,512}?)\s*\()?(?P<port>\d{1,7}|general)/(?P<protocol>[\w.-]{1,32})\)?")


def left_out(threat: str, number: str) -> str:
    """What a result is called that says nothing of the host; "" for one that does."""
    told = _NO_RESULT.get(threat.strip().lower(), "")
    return told or _NO_RESULT_NUMBERS.get(decimal(number) or 0.0, "")


def severity_of(threat: str, number: str) -> Severity:
    """The scanner's word; the band of the number where there is none.

    "High" was all from 7.0 on before Greenbone had "Critical", and it stays what the report calls it.
    """
    found = severity_of_word(threat)
    if found is None:
        found = severity_of_score(decimal(number) or 0.0)
    return found


def finding(test: Test, threat: str, number: str, extra: dict[str, str] | None = None) -> Finding:
    """The finding of a test; `threat` and `number` are the severity of its result, `extra` fields of its own."""
    title = line(test.name, TITLE_LIMIT) or line(test.oid, TITLE_LIMIT)
    if not title:
        raise RecordError("MISSING_FIELD", "nvt", "The result has neither the name nor the id of a test.")
    labelled = (
        ("Insight", test.insight),
        ("Affected", test.affected),
        ("Impact", test.impact),
        ("Detection method", test.detection),
    )
    description = paragraphs(test.summary, *(f"{label}:\n{text}" for label, text in labelled if text.strip()))
    texts = {
        "family": test.family,
        "threat": threat,
        "severity": number,
        "solution_type": test.solution_type,
        "epss_score": test.epss_score,
        "epss_percentile": test.epss_percentile,
        "bids": ", ".join(test.bids.splitlines()),
        "certs": ", ".join(test.certs.splitlines()),
    }
    return Finding(
        key=finding_key(test.oid, title),
        number=public_number(test.oid, title),
        title=title,
        severity=severity_of(threat, number),
        description=description[:TEXT_LIMIT],
        recommendations=test.solution.strip()[:TEXT_LIMIT],
        references=unique_lines(test.references, test.others)[:TEXT_LIMIT],
        source=SOURCE,
        cves=cves_in((test.cves, test.oid)),
        cwes=cwes_in((test.others,)),
        scores=test.scores,
        fields={name: text.strip()[:_FIELD_LIMIT] for name, text in texts.items() if text.strip()} | (extra or {}),
    )


def place_of(text: str) -> tuple[int, str, str]:
    """Port, protocol and service of `443/tcp`, `general/icmp` or `https (443/tcp)`; what is none is the whole host."""
    found = _PLACE.fullmatch(text.strip())
    if found is None:
        return 0, "", line(text)
    port = 0 if found["port"] == "general" else int(found["port"])
    if port > PORT_MAX:
        raise RecordError("INVALID_PORT", "port", "The port is not a number from 0 to 65535.", text)
    return port, found["protocol"].lower(), line(found["service"] or "")


def asset(once: Once, address: str, hostname: str) -> Asset:
    """The host of a result, made once."""
    address, hostname = line(address), line(hostname)
    ref = address or hostname
    if not ref:
        raise RecordError("MISSING_FIELD", "host", "The result names no host.")
    return once(("asset", address, hostname), lambda: _asset(ref, address, hostname))


def _asset(ref: str, address: str, hostname: str) -> Asset:
    ip = ip_address(address)
    return Asset(
        ref=ref,
        name=ref,
        hostname=(hostname or ("" if ip else address))[:NAME_LIMIT],
        ips=(ip,) if ip else (),
    )
