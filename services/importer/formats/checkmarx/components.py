"""What the formats of Checkmarx share about components: a finding is a known vulnerability, an asset is a package.

So has it PlexTrac's converter of these reports: the id of the vulnerability is the title, that of the package the name.
"""

from __future__ import annotations

from services.importer.formats.checkmarx.findings import SOURCE, cwes_of, title_of
from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.members import Members, text
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.values import TEXT_LIMIT, custom_fields, finding_key, line, title_number
from services.importer.targets.findings.records import Asset, Finding, Score, Severity

# The metrics of CVSS version 3 by the members that tell them in words, of which the first letters count.
_METRICS = {
    "AV": ("attackVector", "AttackVector"),
    "AC": ("attackComplexity", "AttackComplexity"),
    "PR": ("privilegesRequired", "PrivilegesRequired"),
    "UI": ("userInteraction", "UserInteraction"),
    "S": ("scope", "Scope"),
    "C": ("confidentiality", "Confidentiality", "confidentialityImpact"),
    "I": ("integrity", "Integrity", "integrityImpact"),
    "A": ("availability", "Availability", "availabilityImpact"),
}


def component_finding(
    once: Once,
    name: str,
    severity: Severity,
    *,
    cve: str = "",
    description: str = "",
    recommendations: str = "",
    references: str = "",
    cwe: str = "",
    scores: tuple[Score, ...] = (),
    fields: dict[str, str] | None = None,
    tags: tuple[str, ...] = (),
) -> Finding:
    """The finding of a vulnerability that components have, called by its id: a CVE, or one of Checkmarx's own."""
    told = fields or {}

    def make() -> Finding:
        called = line(name) or line(cve)
        if not called:
            raise RecordError("MISSING_FIELD", "id", "The vulnerability has no id.")
        title = called if cves_in([called]) else title_of(called)
        return Finding(
            key=finding_key(called, title),
            number=title_number(title),
            title=title,
            severity=severity,
            description=description[:TEXT_LIMIT],
            recommendations=recommendations[:TEXT_LIMIT],
            references=references[:TEXT_LIMIT],
            source=SOURCE,
            cves=cves_in([cve, called]),
            cwes=cwes_of(cwe),
            scores=scores,
            fields=custom_fields(told),
            tags=tags,
        )

    texts = (name, cve, description, recommendations, references, cwe, *told.values())
    return once(("component_finding", severity, scores, tags, *told, *texts), make)


def component_asset(once: Once, name: str, ref: str = "") -> Asset:
    """A component, called by its package and version. Raises `RecordError` where it has no name."""
    name = line(name)
    if not name:
        raise RecordError("MISSING_FIELD", "package", "The vulnerability names no component.")
    return once(("component", ref, name), lambda: Asset(ref=line(ref) or name, name=name, type="Application"))


def scores_of(cvss: Members, base: str) -> tuple[Score, ...]:
    """The score of version 3 that an object with words like `NETWORK` stands for; its vector only when it is whole."""
    words = {metric: text(cvss, *names) for metric, names in _METRICS.items()} if cvss else {}
    vector = "/".join(f"{metric}:{word[0].upper()}" for metric, word in words.items() if word)
    is_whole = bool(words) and all(words.values())
    system = "cvss2" if text(cvss, "version", "Version").startswith("2") else "cvss3"
    found = score(system, f"CVSS:3.0/{vector}" if is_whole and system == "cvss3" else "", base)
    return (found,) if found else ()
