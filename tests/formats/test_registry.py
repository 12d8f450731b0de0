"""Which format is chosen for a source and a file."""

from __future__ import annotations

import pytest

from services.importer.formats.kit.format import WrongFormat
from services.importer.formats.registry import (
    ASSET_SOURCES,
    DISPLAY_NAMES,
    FINDING_SOURCES,
    OBJECT_SOURCES,
    RECORD_SOURCES,
    recognise,
    resolve,
)
from tests.formats.golden import DATA

NESSUS_HEAD = (DATA / "nessus" / "one-item.nessus").read_bytes()[:4096]
BURP_HEAD = (DATA / "burp" / "one-issue.xml").read_bytes()[:4096]
NMAP_HEAD = (DATA / "nmap" / "one-host.xml").read_bytes()[:4096]

ALL_FINDING_SOURCES = """acunetix blindspot burp burphtml checkmarx coreimpact custom hclappscan horizon invicti nessus
netsparker nexpose nipper nmap nodeware nodezero offlinecsv openvas owaspzap pentera ptrac qualys rapidfire scythe
veracode"""


def test_the_names_of_plextrac_are_known() -> None:
    assert list(FINDING_SOURCES) == ALL_FINDING_SOURCES.split()
    assert set(DISPLAY_NAMES) == {*FINDING_SOURCES, *ASSET_SOURCES, *RECORD_SOURCES, *OBJECT_SOURCES}


def test_sources_of_records_and_of_objects_are_no_sources_of_anything_else() -> None:
    assert RECORD_SOURCES.keys().isdisjoint({*FINDING_SOURCES, *ASSET_SOURCES, *OBJECT_SOURCES})
    assert OBJECT_SOURCES.keys().isdisjoint({*FINDING_SOURCES, *ASSET_SOURCES})


@pytest.mark.parametrize(
    ("source", "assets", "head", "name"),
    [
        ("nessus", False, NESSUS_HEAD, "nessus"),
        ("burp", False, BURP_HEAD, "burp"),
        ("nmap", False, NMAP_HEAD, "nmap"),
        ("nmap", True, NMAP_HEAD, "nmap_assets"),
        ("nmap-xml", True, NMAP_HEAD, "nmap_assets"),
        ("cc5", False, (DATA / "cc5" / "one-family.cc5txt").read_bytes()[:4096], "cc5"),
        ("cc5", False, (DATA / "cc5" / "one-family.json").read_bytes()[:4096], "cc5_json"),
    ],
)
def test_a_file_of_the_source_is_taken(source: str, assets: bool, head: bytes, name: str) -> None:
    assert resolve(source, head, assets=assets).name == name


@pytest.mark.parametrize(
    ("source", "head", "told"),
    [
        ("nessus", BURP_HEAD, "a Burp Suite report"),
        ("nessus", NMAP_HEAD, "an Nmap report"),
        ("burp", NESSUS_HEAD, "a Nessus report"),
        ("nmap", b"<NexposeReport>", "a Nexpose report"),
        ("nmap", b'<nmaprun scanner="masscan">', "the root element <nmaprun>"),
        ("burp", b'<issues format="5" by="lint 4.1">', "the root element <issues>"),
        ("burp", b"%PDF-1.7", "a PDF document"),
        ("nessus", b"", "an empty file"),
    ],
)
def test_another_file_is_refused_by_what_it_looks_like(source: str, head: bytes, told: str) -> None:
    with pytest.raises(WrongFormat, match=told):
        resolve(source, head)


def test_an_unknown_source_is_an_error_of_the_caller() -> None:
    with pytest.raises(KeyError):
        resolve("unheard-of", NESSUS_HEAD)
    with pytest.raises(KeyError):
        resolve("nessus", NESSUS_HEAD, assets=True)


def test_the_demo_is_a_nessus_report_with_several_hosts() -> None:
    data = (DATA / "demo.nessus").read_bytes()
    assert [each.name for each in recognise(data[:4096])] == ["nessus"]
    assert data.count(b"<ReportHost ") == 8
