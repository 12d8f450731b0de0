"""Maps detections, which are what Qualys VM says of a QID on one host, to records; the same for all its reports."""

from __future__ import annotations

from typing import NamedTuple

from services.importer.formats.kit.evidence import EVIDENCE_LIMIT, cautions_of, evidence
from services.importer.formats.kit.qualys import listed
from services.importer.formats.kit.values import TEXT_LIMIT, URL_LIMIT, line, port_number
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Evidence, FindingsRecord

SOURCE = "Qualys VM"

_PROTOCOL_LIMIT = 32
_FIXED = "fixed"
_YES = frozenset({"yes", "true", "1", "y", "over ssl"})
_NO = frozenset({"", "false", "0"})


class Detection(NamedTuple):
    """One QID on one host, as the report has it; in the order of a `VULN_INFO`.

    What it does not tell is "". `more` is what else should be told of it, names with values.
    """

    qid: str = ""
    kind: str = ""
    port: str = ""
    service: str = ""
    fqdn: str = ""
    protocol: str = ""
    ssl: str = ""
    instance: str = ""
    result: str = ""
    first_found: str = ""
    last_found: str = ""
    times_found: str = ""
    status: str = ""
    last_fixed: str = ""
    cvss: str = ""
    cvss3: str = ""
    ticket: str = ""
    ticket_state: str = ""
    more: tuple[tuple[str, str], ...] = ()


def is_yes(text: str) -> bool:
    return text.strip().lower() in _YES


def label(tag: str) -> str:
    """What an element that has no place of its own is called: `LAST_TEST_DATETIME` is `Last test`."""
    return tag.removesuffix("_DATETIME").replace("_", " ").capitalize() if "_" in tag else tag


def is_fixed(status: str) -> bool:
    """Does the status of a detection say that it is no more?"""
    return status.strip().lower() == _FIXED


def fixed(qid: str) -> Caution:
    """What a person is told of a detection that is left out because it is marked as fixed."""
    return Caution("FIXED", f"QID {qid} is marked as fixed on a host and left out there.")


class Place(NamedTuple):
    """Where on a host a detection is."""

    port: int
    protocol: str
    service: str


def place_of(port: str, protocol: str, service: str) -> Place:
    """The place that these texts name. Raises `RecordError` for a port that is none."""
    return Place(port_number(port.strip()), protocol.strip()[:_PROTOCOL_LIMIT].lower(), line(service))


def affected(
    detection: Detection, qid: str, asset: Asset, place: Place, proof: tuple[Evidence, ...] = ()
) -> tuple[FindingsRecord, ...]:
    """The affected asset of a detection, and cautions; `proof` is evidence besides its result."""
    result = detection.result.strip("\n")
    if result and not result.isspace():
        proof = (evidence("Result", result), *proof)
    port, protocol, service = place
    instance = AffectedAsset(
        finding=qid,
        asset=asset.ref,
        port=port,
        protocol=protocol,
        service=service,
        location=_location(detection) if detection.instance or detection.fqdn else "",
        notes=_notes(detection)[:TEXT_LIMIT],
        evidence=proof,
    )
    may_be_cut = len(result) > EVIDENCE_LIMIT or len(proof) > 1
    return (instance, *cautions_of(proof)) if may_be_cut else (instance,)


def _location(detection: Detection) -> str:
    """One host may have a flaw several times on a port: for each name it serves, for each instance of a product."""
    return line(detection.instance.strip() or detection.fqdn, URL_LIMIT)


def _notes(seen: Detection) -> str:
    if seen.kind and seen.status and seen.first_found and seen.last_found and seen.times_found:
        told = (
            f"Type: {seen.kind}\nStatus: {seen.status}\nFirst found: {seen.first_found}\n"
            f"Last found: {seen.last_found}\nTimes found: {seen.times_found}"
        )
    else:
        told = listed(
            ("Type", seen.kind),
            ("Status", seen.status),
            ("First found", seen.first_found),
            ("Last found", seen.last_found),
            ("Times found", seen.times_found),
        )
    if seen.cvss and seen.cvss != "-":
        told += f"\nCVSS: {seen.cvss}"
    if seen.cvss3 and seen.cvss3 != "-":
        told += f"\nCVSS3: {seen.cvss3}"
    # Most detections have none of these.
    if seen.instance or seen.last_fixed or seen.ticket or seen.ticket_state or seen.more or seen.ssl not in _NO:
        told += "\n" + listed(
            ("Last fixed", seen.last_fixed),
            ("FQDN", seen.fqdn if seen.instance else ""),
            ("SSL", "yes" if is_yes(seen.ssl) else ""),
            ("Ticket", seen.ticket),
            ("Ticket state", seen.ticket_state),
            *seen.more,
        )
    return told.strip("\n")
