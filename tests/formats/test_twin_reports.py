"""One scan written as XML and as JSON: whichever is imported, the findings and places are the same."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from services.importer.formats.registry import BY_NAME
from services.importer.targets.findings.records import AffectedAsset, Asset, Finding
from tests.formats.golden import DATA

# Formats with samples, and how many of their first items are of the same things.
PAIRS = [
    (("zap", "zap/two-sites.xml", 100), ("zap_json", "zap/two-sites.json", 100)),
    (("acunetix_360", "acunetix/issues-360.xml", 1), ("acunetix_360_json", "acunetix/issues-360.json", 1)),
    (("invicti_enterprise", "invicti/enterprise-issues.xml", 1), ("invicti_json", "invicti/issues.json", 1)),
]


def seen(format_name: str, sample: str, count: int) -> tuple[set[Any], set[Any], set[Any]]:
    """Findings, assets and places of the first items."""
    format_ = BY_NAME[format_name]
    raws = [raw for raw, _ in format_.walk(BytesIO((DATA / sample).read_bytes()))][:count]
    records = [record for raw in raws for record in format_.read(raw)]
    return (
        {
            (each.key, each.number, each.title, each.severity, each.cwes)
            for each in records
            if isinstance(each, Finding)
        },
        {(each.ref, each.ports) for each in records if isinstance(each, Asset)},
        {
            (each.finding, each.asset, each.port, each.location, each.parameters, len(each.evidence))
            for each in records
            if isinstance(each, AffectedAsset)
        },
    )


@pytest.mark.parametrize(("xml", "json"), PAIRS, ids=lambda each: each[0])
def test_the_same_findings_assets_and_places_come_out(xml: tuple[str, str, int], json: tuple[str, str, int]) -> None:
    assert all(seen(*xml))
    assert seen(*xml) == seen(*json)
