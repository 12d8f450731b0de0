"""What the formats of Veracode share: flaws of code and of running applications by CWE, components by vulnerability.

A finding is a weakness (CWE), whatever the number of flaws; each flaw is a place of it. As PlexTrac does, each has a
tag that tells how it was found: SAST, DAST, SCA or Manual. Flaws that are fixed are left out; a flaw that is mitigated
is still there, and its notes say so.
"""

from __future__ import annotations

from services.importer.formats.kit.addresses import origin
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.values import (
    INT32_MAX,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    custom_fields,
    finding_key,
    line,
    public_number,
    title_number,
    whole,
)
from services.importer.formats.kit.web import web_asset
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Finding,
    FindingsRecord,
    Score,
    Severity,
)

SOURCE = "Veracode"

# Veracode's scale: 5 very high, 4 high, 3 medium, 2 low, 1 very low, 0 informational.
_SEVERITIES = {
    "5": Severity.CRITICAL,
    "4": Severity.HIGH,
    "3": Severity.MEDIUM,
    "2": Severity.LOW,
    "1": Severity.INFORMATIONAL,
    "0": Severity.INFORMATIONAL,
}
# What a flaw is called that is no longer there.
_FIXED = frozenset({"FIXED", "CLOSED", "CANNOT_REPRODUCE"})


def severity_of(level: str) -> tuple[Severity, tuple[Caution, ...]]:
    """The severity of a number of Veracode's scale; Informational, and a caution, for anything else."""
    found = _SEVERITIES.get(level.strip())
    if found is not None:
        return found, ()
    return Severity.INFORMATIONAL, (
        Caution("UNKNOWN_SEVERITY", f'The severity "{line(level, 40)}" was read as Informational.'),
    )


def left_out(title: str, *states: str) -> Caution | None:
    """Why a flaw in these states is not imported; None where it is. `Cannot Reproduce` is `CANNOT_REPRODUCE`."""
    if any(state.strip().upper().replace(" ", "_") in _FIXED for state in states):
        return Caution("FIXED", f'A flaw "{line(title, 200)}" is fixed and left out.')
    return None


def weakness(
    once: Once,
    cwe: str,
    title: str,
    severity: Severity,
    kind: str,
    *,
    description: str = "",
    recommendations: str = "",
    fields: dict[str, str] | None = None,
) -> Finding:
    """The finding of a CWE number; of its title where it has none. `kind` is SAST, DAST or Manual."""
    told = fields or {}

    def make() -> Finding:
        called = line(title, TITLE_LIMIT) or (f"CWE-{cwe}" if cwe else "")
        if not called:
            raise RecordError("MISSING_FIELD", "cwe", "The flaw has neither a CWE nor a name.")
        number = whole(cwe) or 0
        is_numbered = 0 < number <= INT32_MAX
        return Finding(
            key=finding_key(f"CWE-{number}" if is_numbered else None, called),
            number=public_number(cwe, called),
            title=called,
            severity=severity,
            description=description[:TEXT_LIMIT],
            recommendations=recommendations[:TEXT_LIMIT],
            references=f"https://cwe.mitre.org/data/definitions/{number}.html" if is_numbered else "",
            source=SOURCE,
            cwes=(number,) if is_numbered else (),
            fields=custom_fields(told),
            tags=(kind,),
        )

    return once(("weakness", severity, cwe, title, kind, description, recommendations, *told, *told.values()), make)


def vulnerability(
    once: Once,
    name: str,
    severity: Severity,
    *,
    title: str = "",
    description: str = "",
    recommendations: str = "",
    references: str = "",
    cves: tuple[str, ...] = (),
    cwes: tuple[int, ...] = (),
    scores: tuple[Score, ...] = (),
    fields: dict[str, str] | None = None,
) -> Finding:
    """The finding of a vulnerability that components have, by its CVE or Veracode's own id."""
    told = fields or {}

    def make() -> Finding:
        called = line(title, TITLE_LIMIT) or line(name, TITLE_LIMIT)
        if not called:
            raise RecordError("MISSING_FIELD", "cve", "The vulnerability has neither an id nor a title.")
        return Finding(
            key=finding_key(name, called),
            number=title_number(name or called),
            title=called,
            severity=severity,
            description=description[:TEXT_LIMIT],
            recommendations=recommendations[:TEXT_LIMIT],
            references=references[:TEXT_LIMIT],
            source=SOURCE,
            cves=cves,
            cwes=cwes,
            scores=scores,
            fields=custom_fields(told),
            tags=("SCA",),
        )

    texts = (name, title, description, recommendations, references, *told.values())
    return once(("vulnerability", severity, cves, cwes, scores, *told, *texts), make)


def application(once: Once, name: str) -> Asset:
    """An application as an asset. Raises `RecordError` where the report does not say which it is."""
    name = line(name)
    if not name:
        raise RecordError("MISSING_FIELD", "app_name", "The report does not name its application.")
    return once(("application", name), lambda: Asset(ref=name, name=name, type="Application"))


def component(once: Once, name: str, version: str) -> Asset:
    """A component as an asset, called by its name and version."""
    called = line(f"{name} {version}")
    if not called:
        raise RecordError("MISSING_FIELD", "library", "The vulnerability names no component.")
    return once(("component", called), lambda: Asset(ref=called, name=called, type="Application"))


def flaw(
    once: Once,
    finding: Finding,
    app: str,
    *,
    url: str = "",
    place: str = "",
    parameter: str = "",
    notes: str = "",
    proof: str = "",
) -> tuple[FindingsRecord, ...]:
    """One flaw: of the host of its `url`, else of the application at a `place` in its code."""
    at = origin(url)
    asset = (web_asset(at, once) if url else None) or application(once, app)
    pieces = (evidence("Description", proof),) if proof.strip() else ()
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        port=at.port if url else 0,
        protocol="tcp" if url and at.port else "",
        service=at.scheme if url else "",
        location=line(url or place, URL_LIMIT),
        parameters=(line(parameter),) if line(parameter) else (),
        notes=notes[:TEXT_LIMIT],
        evidence=pieces,
    )
    return (asset, finding, affected, *cautions_of(pieces))


def code_place(file: str, number: str) -> str:
    """A file with its line."""
    file = line(file, URL_LIMIT // 2)
    return f"{file}:{number.strip()}" if file and whole(number) else file


def labelled(*told: tuple[str, str]) -> str:
    """Lines like `Module: a.jar`, for those that have a text."""
    return "\n".join([f"{label}: {line(text, URL_LIMIT)}" for label, text in told if text.strip()])
