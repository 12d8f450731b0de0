from __future__ import annotations

import pytest

from runtime.errors import InvalidArgument
from services.importer.sources import FileFormat, Source, Sources

NMAP = FileFormat("nmap", "an Nmap report", "xml", (".xml",), sources=("nmap",))
NMAP_ASSETS = FileFormat("nmap_assets", "an Nmap report", "xml", (".xml", ".nmap"), asset_sources=("nmap", "nmap-xml"))
SOURCES = Sources(
    [
        Source("nmap", "Nmap", report_formats=(NMAP,), asset_formats=(NMAP_ASSETS,)),
        Source("burp", "Burp Suite", report_formats=(FileFormat("burp", sources=("burp",)),)),
        Source("nmap-xml", "Nmap (assets)", asset_formats=(NMAP_ASSETS,)),
    ]
)


@pytest.mark.parametrize(
    ("slug", "for_report"), [("burp", True), ("nmap", True), ("nmap", False), ("nmap-xml", False), ("BURP", True)]
)
def test_a_known_slug_is_given_back_in_lower_case(slug: str, for_report: bool) -> None:
    assert SOURCES.check(slug, for_report=for_report) == slug.lower()


@pytest.mark.parametrize(
    ("slug", "for_report", "known"),
    [
        ("nessus", True, "burp, nmap"),
        ("nmap-xml", True, "burp, nmap"),
        ("burp", False, "nmap, nmap-xml"),
        ("", True, "burp, nmap"),
    ],
)
def test_another_slug_is_refused_with_the_known_ones(slug: str, for_report: bool, known: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        SOURCES.check(slug, for_report=for_report)
    assert refusal.value.reason == "UNKNOWN_SOURCE"
    assert known in refusal.value.message
    assert refusal.value.metadata == {"known": known}


def test_sources_are_listed_by_slug_with_all_their_formats() -> None:
    assert [source.slug for source in SOURCES.all()] == ["burp", "nmap", "nmap-xml"]
    nmap = SOURCES.all()[1]
    assert nmap.formats == (NMAP, NMAP_ASSETS)
    assert nmap.extensions == (".xml", ".nmap")
    assert [each.is_assets_only for each in nmap.formats] == [False, True]
    assert [source.is_assets_only for source in SOURCES.all()] == [False, False, True]
