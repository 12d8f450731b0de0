"""What weaknesses, hosts and services of NodeZero become, whether they stand in a table or in JSON.

Names are those of the types of Horizon3's public API (https://docs.horizon3.ai/api/graphql): its tables are not
published and are assumed to call the same things by the same names, whatever their case and signs. What is not known is
kept and told.

A weakness is known by `vuln_id`, a CVE or an id of Horizon3's own (`H3-2021-0020`), which stays from one pentest to the
next; its `uuid` does not. Each has two ratings: the one that counts is that of its context, which may differ from place
to place, so that a finding has the gravest of its places. Scores are no CVSS scores: they stay numbers of their own.
"""

from __future__ import annotations

import re

from services.importer.formats.kit.addresses import Place, ip_address, is_hostname, mac_address, place
from services.importer.formats.kit.credentials import shown_field, without_credentials
from services.importer.formats.kit.entries import Entry, plain_names, unchosen
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.severity import severity_of_score, severity_of_word
from services.importer.formats.kit.values import (
    FIELD_LIMIT,
    PORT_MAX,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    custom_fields,
    decimal,
    finding_key,
    line,
    paragraphs,
    public_number,
    unique_lines,
    whole,
)
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Finding,
    FindingsRecord,
    Port,
    Severity,
)

SOURCE = "NodeZero"

ID = ("vuln_id", "weakness_id", "vulnerability_id")
TITLE = ("vuln_name", "weakness_name", "vulnerability_name", "vuln_short_name", "weakness", "vulnerability")
_SEVERITY = ("context_severity", "severity", "base_severity")
_SCORE = ("context_score", "score", "base_score")
_ADDRESS = ("ip", "ip_address", "host_ip")
_AFFECTED = ("affected_asset_text", "affected_asset_display_name", "affected_asset", "asset")
_HOSTNAME = ("host_name", "hostname", "host")
_HOSTNAMES = ("host_names", "hostnames")
_PORT, _PROTOCOL = ("port", "port_number"), ("protocol", "transport")
_SERVICE = ("iana_service_name", "service_name", "service")
_DESCRIPTION = ("vuln_description", "description", "summary")
_ADVICE = ("recommendations", "recommendation", "remediation", "mitigations", "mitigation", "fix_actions")
_REFERENCES = ("references", "reference", "vuln_references")
_PROOF = ("proofs", "proof", "evidence")
# Of the kind of weakness.
_FIELDS = {
    "category": ("vuln_category", "category"),
    "short_name": ("vuln_short_name",),
    "aliases": ("vuln_aliases",),
    "known_exploited": ("vuln_cisa_kev", "cisa_kev"),
    "ransomware": ("vuln_known_ransomware_campaign_use",),
    "base_severity": ("base_severity",),
    "base_score": ("base_score",),
    "mitre_attack": ("mitre_mappings",),
}
_SYSTEMS, _MAC = ("os_names", "os_name", "os", "operating_system"), ("mac", "mac_address")
# Of the place or the host.
_NOTES = {
    "Severity": _SEVERITY,
    "Score": _SCORE,
    "Context": ("context_score_description", "context_score_description_md"),
    "Proof": ("has_proof",),
    "No proof because": ("proof_failure_reason",),
    "Proof failure code": ("proof_failure_code",),
    "Impact": ("downstream_impact_types_and_counts", "downstream_impact_types"),
    "Impact paths": ("impact_paths_count",),
    "Attack paths": ("attack_paths_count",),
    "Status": ("diff_status", "status"),
    "Time to finding": ("time_to_finding_hms", "time_to_finding_s"),
    "Found": ("created_at",),
    "Asset": ("affected_asset_display_name", "affected_asset_text"),
    "Asset id": ("affected_asset_uuid",),
    "Subnet": ("subnet",),
    "In scope": ("is_in_scope", "in_scope"),
    "Domain controller": ("is_domain_controller", "domain_controller"),
    "Public": ("is_public",),
    "Cloud provider": ("cloud_provider",),
    "Weaknesses": ("weaknesses_count",),
    "Confirmed weaknesses": ("confirmed_weaknesses_count",),
    "Credentials": ("credentials_count",),
    "Services": ("services_count",),
    "Id": ("uuid",),
    "Pentest": ("op_id", "op_name"),
}
KNOWN = plain_names(
    *(ID, TITLE, _SEVERITY, _SCORE, _ADDRESS, _AFFECTED, _HOSTNAME, _HOSTNAMES, _PORT, _PROTOCOL, _SERVICE),
    *(_DESCRIPTION, _ADVICE, _REFERENCES, _PROOF, _SYSTEMS, _MAC, *_FIELDS.values(), *_NOTES.values()),
)

# Of these a second value may say something else; of the others it is the same in another form, or a field.
_CHOICES = (ID, TITLE[:3], _SEVERITY[:2], _SCORE[:2], _ADDRESS, _AFFECTED, _HOSTNAME, _PORT, _SERVICE, _DESCRIPTION,
            _ADVICE, _REFERENCES, _PROOF, _NOTES["Impact"], _NOTES["Status"], _NOTES["Pentest"])  # fmt: skip
_PARTS = re.compile(r"[,;\r\n]+")
_TECHNIQUE = re.compile(r"(?<![A-Za-z0-9])(T\d{4}(?:\.\d{3})?)(?!\d)", re.ASCII)
_NO = frozenset({"", "false", "no", "0"})
_HIGHEST = 10


def is_weakness(entry: Entry) -> bool:
    return bool(entry.get(*ID) or entry.get(*TITLE))


def weakness_records(entry: Entry, once: Once) -> tuple[FindingsRecord, ...]:
    """The finding that a weakness is, its asset and where it has it."""
    native_id = line(entry.get(*ID))
    title = line(entry.get(*TITLE), TITLE_LIMIT) or native_id
    if not title:
        raise RecordError("MISSING_FIELD", "vuln_name", "The weakness has neither name nor id.", entry.get("uuid"))
    severity, cautions = _severity(entry)
    where = place(without_credentials(entry.get(*_AFFECTED)))
    asset = _asset(entry, where, once)
    proof = without_credentials(entry.get(*_PROOF))
    notes = _notes(entry)
    # What belongs to a place is kept with the finding where there is none.
    fields = {} if asset else {**notes, "Proofs": proof}
    finding = once.same(_finding(entry, native_id, title, severity, fields))
    if asset is None:
        return (finding, *cautions)
    number = whole(entry.get(*_PORT))
    port = number if number is not None and number <= PORT_MAX else where.port
    pieces = (evidence("Proof", proof),) if proof else ()
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        port=port,
        protocol=(line(entry.get(*_PROTOCOL)).lower() or where.protocol or "tcp") if port else "",
        service=line(entry.get(*_SERVICE)),
        location=where.url or _location(where.name, asset),
        notes="\n".join(f"{label}: {value}" for label, value in notes.items() if value)[:TEXT_LIMIT],
        evidence=pieces,
    )
    return (asset, finding, affected, *cautions, *cautions_of(pieces))


def host_records(entry: Entry, once: Once) -> tuple[FindingsRecord, ...]:
    """A host, or one of its services as NodeZero lists them apart."""
    names = [line(part) for part in _PARTS.split(entry.get(*_HOSTNAMES)) if part.strip()]
    hostname = line(entry.get(*_HOSTNAME)) or next(iter(names), "")
    address = ip_address(entry.get(*_ADDRESS))
    name = hostname or address
    if not name:
        raise RecordError("MISSING_FIELD", "ip", "The host has neither name nor address.")
    told = {"Names": ", ".join(names) if len(names) > 1 else "", **_notes(entry)}
    port = whole(entry.get(*_PORT))
    ports = (
        (Port(port, line(entry.get(*_PROTOCOL)).lower() or "tcp", line(entry.get(*_SERVICE))),)
        if port is not None and port <= PORT_MAX
        else ()
    )
    own = ip_address(hostname)
    asset = Asset(
        ref=address or name,
        name=name,
        hostname="" if own else hostname,
        ips=tuple(dict.fromkeys(ip for ip in (address, own) if ip)),
        mac=mac_address(entry.get(*_MAC)),
        operating_systems=_systems(entry),
        description="\n".join(f"{label}: {value}" for label, value in told.items() if value)[:FIELD_LIMIT],
        ports=ports,
    )
    return (once.same(asset),)


def _finding(entry: Entry, native_id: str, title: str, severity: Severity, fields: dict[str, str]) -> Finding:
    description, advice, references = (
        without_credentials(entry.get(*names)) for names in (_DESCRIPTION, _ADVICE, _REFERENCES)
    )
    told = {name: entry.get(*names) for name, names in _FIELDS.items()}
    told |= {name: "" for name in ("known_exploited", "ransomware") if told[name].lower() in _NO}
    return Finding(
        key=finding_key(native_id, title),
        number=public_number(native_id, title),
        title=title,
        severity=severity,
        description=paragraphs(description)[:TEXT_LIMIT],
        recommendations=advice[:TEXT_LIMIT],
        references=unique_lines(references)[:TEXT_LIMIT],
        source=SOURCE,
        cves=cves_in([native_id, told["aliases"], title]),
        cwes=cwes_in([description, references]),
        fields=custom_fields({"vuln_id": native_id, **told, **fields}),
        tags=tuple(dict.fromkeys(_TECHNIQUE.findall(told["mitre_attack"]))),
    )


def _severity(entry: Entry) -> tuple[Severity, tuple[Caution, ...]]:
    """By the word of the context, else by its number, which NodeZero rates in the bands of CVSS."""
    word, number = entry.get(*_SEVERITY), decimal(entry.get(*_SCORE))
    if (severity := severity_of_word(word)) is not None:
        return severity, ()
    if number is not None and 0 <= number <= _HIGHEST:
        return severity_of_score(number), ()
    told = f'The severity "{line(word, 40)}"' if word else "A weakness without a severity"
    message = f"{told} was read as Informational."
    return Severity.INFORMATIONAL, (Caution("UNKNOWN_SEVERITY", message),)


def _asset(entry: Entry, where: Place, once: Once) -> Asset | None:
    address = ip_address(entry.get(*_ADDRESS)) or ip_address(where.name)
    hostname = line(entry.get(*_HOSTNAME)) or (where.name if is_hostname(where.name) else "")
    name = hostname or address or where.name
    if not name:
        return None
    return once.same(
        Asset(
            ref=address or name,
            name=name,
            hostname="" if ip_address(hostname) else hostname,
            ips=(address,) if address else (),
            mac=mac_address(entry.get(*_MAC)),
            operating_systems=_systems(entry),
        ),
    )


def _systems(entry: Entry) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line(part) for part in _PARTS.split(entry.get(*_SYSTEMS)) if part.strip()))


def _location(name: str, asset: Asset) -> str:
    """What is affected on a host, where it is not the host itself: a share, an account, a bucket."""
    return "" if name in (asset.name, asset.hostname, *asset.ips) else name[:URL_LIMIT]


def _notes(entry: Entry) -> dict[str, str]:
    told = {label: without_credentials(entry.get(*names)) for label, names in _NOTES.items()}
    others = unchosen(entry, *_CHOICES) | entry.extra()
    return told | {name: shown_field(name, value) for name, value in others.items()}
