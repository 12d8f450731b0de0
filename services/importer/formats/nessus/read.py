"""Maps items of a Nessus report to records.

A finding is a plugin; of a compliance plugin it is one check, because hundreds of checks share its id. Sources:
Tenable's description of the .nessus file format, and PlexTrac's documented habit that the plugin id becomes the
finding's number.
"""

from __future__ import annotations

import json
from collections import defaultdict

from services.importer.formats.kit.addresses import ip_address, mac_address, origin
from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.severity import severity_of_score, severity_of_word
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    decimal,
    finding_key,
    line,
    paragraphs,
    port_number,
    public_number,
    title_number,
    unique_lines,
    whole,
)
from services.importer.formats.nessus.report import Definition, Host, Made, ReportItem
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Evidence,
    Finding,
    FindingsRecord,
    Score,
    Severity,
)

SOURCE = "Nessus"

Texts = dict[str, list[str]]

_SEVERITIES = dict(zip("43210", Severity, strict=True))

# What consultants make of audit results: a failed check is a weakness, one that needs a look is a lesser one.
_RESULTS = {"FAILED": Severity.HIGH, "WARNING": Severity.MEDIUM}

_SCORES = (
    # System, then the elements of vector, base score, temporal vector, temporal score.
    ("cvss2", "cvss_vector", "cvss_base_score", "cvss_temporal_vector", "cvss_temporal_score"),
    ("cvss3", "cvss3_vector", "cvss3_base_score", "cvss3_temporal_vector", "cvss3_temporal_score"),
    ("cvss4", "cvss4_vector", "cvss4_base_score", "cvss4_threat_vector", "cvss4_threat_score"),
)

# Elements that have a place of their own in the finding, or say something about the plugin's code and not about the
# flaw.
_NOT_FIELDS = frozenset(
    {
        "agent",
        "always_run",
        "asset_inventory",
        "cm:compliance-check-name",
        "cm:compliance-info",
        "cm:compliance-see-also",
        "cm:compliance-solution",
        "compliance",
        "cve",
        "cwe",
        "description",
        "fname",
        "os_identification",
        "plugin_name",
        "plugin_version",
        "script_version",
        "see_also",
        "solution",
        "synopsis",
        *(name for row in _SCORES for name in row[1:]),
    }
)
_FIELD_NAMES = {"vulnerability_priority_rating": "vpr_score"}
_PROTOCOL_LIMIT = 32
_FIELD_COUNT, _FIELD_LIMIT = 100, 16_384

_NETWORK_DEVICES = frozenset({"firewall", "load-balancer", "router", "switch", "wireless-access-point", "vpn"})


def read(raw: ReportItem) -> tuple[FindingsRecord, ...]:
    host = raw.host
    asset = read_host(host)
    notes = [Caution(*note) for note in raw.notes]
    if raw.definition is None:
        return (asset, *notes)
    finding, notes_on_host, cautions = made_once(raw.definition)
    proof = _evidence(raw)
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        port=port_number(raw.port),
        protocol=raw.protocol[:_PROTOCOL_LIMIT].lower(),
        service=raw.service[:NAME_LIMIT],
        location=host.name[:URL_LIMIT] if "://" in host.name else "",
        notes=notes_on_host,
        evidence=proof,
    )
    return (asset, finding, affected, *cautions, *cautions_of(proof), *notes)


def read_host(host: Host) -> Asset:
    """The asset of a host, the same object each time."""
    host.asset = host.asset or _asset(host)
    return host.asset


def made_once(definition: Definition) -> Made:
    """What a definition gives, the same objects each time. Raises `RecordError` where it cannot be used."""
    if definition.made is None:
        try:
            definition.made = _made(definition)
        except RecordError as error:
            definition.made = error
    if isinstance(definition.made, RecordError):
        raise definition.made
    return definition.made


def _made(definition: Definition) -> Made:
    if whole(definition.plugin_id) is None:
        raise RecordError("INVALID_PLUGIN_ID", "pluginID", "The plugin id is not a number.", definition.plugin_id)
    texts: Texts = defaultdict(list)
    for name, text in definition.texts:
        texts[name].append(text)
    check = line(_first(texts, "cm:compliance-check-name"), TITLE_LIMIT)
    title = check or line(definition.name or _first(texts, "plugin_name"), TITLE_LIMIT)
    title = title or f"Nessus plugin {definition.plugin_id}"
    scores = tuple(found for row in _SCORES if (found := score(row[0], *(_first(texts, name) for name in row[1:]))))
    key = definition.plugin_id
    if check:
        key = f"{key}:{finding_key(None, _first(texts, 'cm:compliance-check-id') or check)}"
    description = paragraphs(
        _first(texts, "synopsis"), _first(texts, "description"), _first(texts, "cm:compliance-info")
    )
    finding = Finding(
        key=key,
        number=title_number(title) if check else public_number(definition.plugin_id, title),
        title=title,
        severity=_severity(definition, texts, scores),
        description=description[:TEXT_LIMIT],
        recommendations=_solution(texts)[:TEXT_LIMIT],
        references=unique_lines(*texts["see_also"], *texts["cm:compliance-see-also"])[:TEXT_LIMIT],
        source=SOURCE,
        cves=cves_in(texts["cve"]),
        cwes=cwes_in([*(f"CWE-{number}" for number in texts["cwe"]), *texts["xref"]]),
        scores=scores,
        fields=_fields(definition, texts),
    )
    result = _first(texts, "cm:compliance-result")
    cut = len(description) > TEXT_LIMIT
    cautions = (Caution("TEXT_CUT", f"The description of plugin {key} was cut."),) if cut else ()
    return Made(finding, f"Result: {line(result, 32).upper()}" if result else "", cautions)


def _severity(definition: Definition, texts: Texts, scores: tuple[Score, ...]) -> Severity:
    result = _first(texts, "cm:compliance-result").strip().upper()
    if result:
        return _RESULTS.get(result, Severity.INFORMATIONAL)
    found = _SEVERITIES.get(definition.severity.strip()) if definition.severity else None
    if found is None:
        found = severity_of_word(_first(texts, "risk_factor"))
    if found is None:
        bases = [each.base for each in scores if each.base is not None]
        found = severity_of_score(bases[-1]) if bases else Severity.INFORMATIONAL
    return found


def _solution(texts: Texts) -> str:
    parts = [text for text in (*texts["solution"], *texts["cm:compliance-solution"]) if text.strip().lower() != "n/a"]
    return paragraphs(*parts)


def _fields(definition: Definition, texts: Texts) -> dict[str, str]:
    fields = {"family": line(definition.family)} if definition.family else {}
    for name, values in texts.items():
        if name not in _NOT_FIELDS and len(fields) < _FIELD_COUNT and (value := unique_lines(*values)):
            label = name.removeprefix("cm:").replace("-", "_")
            fields[_FIELD_NAMES.get(name, label)[:NAME_LIMIT]] = value[:_FIELD_LIMIT]
    # The result belongs to each host; the finding has the worst.
    fields.pop("compliance_result", None)
    if (rating := fields.get("vpr_score")) is not None and decimal(rating) is None:
        del fields["vpr_score"]
    return fields


def _evidence(raw: ReportItem) -> tuple[Evidence, ...]:
    pieces: tuple[Evidence, ...] = ()
    if raw.output and not raw.output.isspace():
        pieces = (evidence("Plugin output", raw.output.strip("\n")),)
    if raw.others:
        captions = (
            (name.removeprefix("cm:compliance-").replace("-", " ").capitalize(), text) for name, text in raw.others
        )
        pieces += tuple(evidence(line(caption), text.strip("\n")) for caption, text in captions if text.strip())
    return pieces


def _asset(host: Host) -> Asset:
    tags = host.tags
    name = line(origin(host.name).host if "://" in host.name else host.name) or line(tags.get("host-ip", ""))
    ref = name or line(tags.get("host-fqdn", ""))
    if not ref:
        raise RecordError("MISSING_FIELD", "ReportHost name", "The host has neither name nor address.")
    addresses = [name, *tags.get("host-ip", "").replace(",", " ").split()]
    kind = tags.get("system-type", "")
    return Asset(
        ref=ref,
        name=ref,
        hostname=_hostname(name, tags),
        ips=tuple(dict.fromkeys(ip for text in addresses if (ip := ip_address(text)))),
        mac=mac_address(tags.get("mac-address", "")),
        netbios=line(tags.get("netbios-name", "")),
        operating_systems=_systems(tags),
        type="Application" if "://" in host.name else "Network Device" if kind in _NETWORK_DEVICES else "",
        tags=host.labels,
    )


def _hostname(name: str, tags: dict[str, str]) -> str:
    candidates = [tags.get("host-fqdn", ""), *_listed_names(tags.get("host-fqdns", ""))]
    candidates += [tags.get("host-rdns", ""), tags.get("hostname", ""), name]
    for candidate in candidates:
        text = origin(candidate).host if "://" in candidate else line(candidate)
        if text and not ip_address(text):
            return text
    return ""


def _listed_names(text: str) -> list[str]:
    """The names in a list like `[{"FQDN": "a.example", "sources": ["get_host_fqdn"]}]`."""
    try:
        listed = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return []
    entries = listed if isinstance(listed, list) else []
    return [str(entry["FQDN"]) for entry in entries if isinstance(entry, dict) and entry.get("FQDN")]


def _systems(tags: dict[str, str]) -> tuple[str, ...]:
    listed = tags.get("operating-system") or tags.get("os", "")
    return tuple(dict.fromkeys(system for part in listed.splitlines()[:20] if (system := line(part))))


def _first(texts: Texts, name: str) -> str:
    values = texts.get(name)
    return values[0] if values else ""
