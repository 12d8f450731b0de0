"""Maps the items of an AppScan report to records: issues as they come, their types when the document has ended."""

from __future__ import annotations

from msgspec import structs

from services.importer.formats.appscan.findings import finding_of
from services.importer.formats.appscan.issues import late_ref, read_host, read_issue
from services.importer.formats.appscan.report import Definitions, Issue, Report
from services.importer.formats.kit.addresses import origin
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.values import whole
from services.importer.formats.kit.web import web_asset
from services.importer.targets.findings.records import Asset, Caution, FindingsRecord


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    if isinstance(raw.value, Issue):
        return read_issue(raw.value, raw)
    if isinstance(raw.value, Definitions):
        return (*_definitions(raw.value, raw), *raw.cautions)
    return (*read_host(raw.value, raw.once), *raw.cautions)


def _definitions(value: Definitions, raw: Node) -> tuple[FindingsRecord, ...]:
    report, sightings = value
    findings = [finding_of(report, reference, seen) for reference, seen in sightings.types.items()]
    return (*findings, *_late_assets(value, raw), *_not_listed(report, sightings.count))


def _late_assets(value: Definitions, raw: Node) -> list[Asset]:
    """Hosts of URLs that issues named before the file defined them, under the name that those issues gave them."""
    found = []
    for name in sorted(value.sightings.late_urls):
        asset = web_asset(origin(value.report.name("url-group", name)), raw.once)
        if asset is not None:
            found.append(structs.replace(asset, ref=late_ref(name)))
    return found


def _not_listed(report: Report, listed: int) -> list[Caution]:
    """Reports may be made without the issues: they only count them."""
    counted = sum(whole(kind.get("count", "")) or 0 for kind in report.items("issue-type-group"))
    if listed >= counted:
        return []
    message = f"The report counts {counted} issues and lists {listed}; it may have been made without the others."
    return [Caution("ISSUES_NOT_LISTED", message)]
