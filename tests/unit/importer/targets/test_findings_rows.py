from __future__ import annotations

from uuid import uuid4

import pytest

from schema import staging
from services.importer.engine.target import Job, Tally
from services.importer.targets.findings.merge_findings import MAX_FLAW_ID, next_free
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Evidence, Finding, Severity
from services.importer.targets.findings.rows import FindingsStager, asset_keys, place_of

JOB = Job(7, uuid4(), 1, 2, "nessus", (), (), use_parser_actions=False)


@pytest.mark.parametrize(
    ("asset", "keys"),
    [
        (Asset(ref="x", name="Web.Example.COM."), ["name:web.example.com"]),
        (Asset(ref="x", name="10.0.0.1"), ["ip:10.0.0.1"]),
        (Asset(ref="x", name="10.0.0.1", ips=("10.0.0.1",)), ["ip:10.0.0.1"]),
        (Asset(ref="x", name="a", hostname="A"), ["name:a"]),
        (Asset(ref="x", name="a", hostname="b", ips=("2001:DB8::0:1",)), ["ip:2001:db8::1", "name:a", "name:b"]),
        (Asset(ref="only-ref", name=""), ["name:only-ref"]),
    ],
)
def test_an_asset_is_matched_by_name_without_case_and_by_address(asset: Asset, keys: list[str]) -> None:
    assert asset_keys(asset) == keys


def test_a_name_too_long_for_an_index_is_matched_by_its_digest() -> None:
    (key,) = asset_keys(Asset(ref="x", name="n" * 100_000))
    assert len(key) == len("name:") + 64


def test_a_place_differs_by_each_of_its_parts() -> None:
    places = {
        place_of(80, "tcp", "/a", ()),
        place_of(81, "tcp", "/a", ()),
        place_of(80, "udp", "/a", ()),
        place_of(80, "tcp", "/b", ()),
        place_of(80, "tcp", "/a", ("q",)),
    }
    assert len(places) == 5
    assert place_of(80, "tcp", "/a", ()) in places


def test_every_row_has_a_value_for_each_column_of_its_template() -> None:
    stager = FindingsStager(JOB, Tally())
    stager.add(
        1,
        [
            Finding(key="k", number=1, title="t", severity=Severity.HIGH),
            Asset(ref="h", name="h"),
            AffectedAsset(finding="k", asset="h", evidence=(Evidence("c", "x", 1),)),
        ],
    )
    rows = stager.take()
    assert {table.name: len(each) for table, each in rows.items()} == {
        "findings": 1,
        "assets": 1,
        "affected": 1,
        "evidence": 1,
    }
    for table, each in rows.items():
        assert len(each[0]) == len(table.columns)
        assert each[0][0] == JOB.tenant_id
    assert not any(stager.take().values())


def test_counters_and_cautions_are_tallied_and_a_caution_makes_no_row() -> None:
    tally = Tally()
    stager = FindingsStager(JOB, tally)
    assert stager.add(1, [AffectedAsset(finding="k", asset="h", evidence=(Evidence("c", "x", 1),) * 2)])
    assert not stager.add(2, [Caution("CUT", "first"), Caution("CUT", "second")])
    assert tally.entities == {"finding_assets": 1, "evidence": 2}
    assert tally.cautions == {"CUT": ["first", 2]}


def test_records_of_one_item_keep_their_own_evidence() -> None:
    stager = FindingsStager(JOB, Tally())
    stager.add(
        4,
        [
            AffectedAsset(finding="k", asset="h", port=1, evidence=(Evidence("c", "one", 3),)),
            AffectedAsset(finding="k", asset="h", port=2, evidence=(Evidence("c", "two", 3),)),
        ],
    )
    rows = stager.take()
    numbers = [row[3] for row in rows[staging.evidence]]
    assert numbers == [row[3] for row in rows[staging.affected]] == [0, 1]


@pytest.mark.parametrize(
    ("wanted", "used", "given"),
    [
        (5, set(), 5),
        (5, {5}, 6),
        (5, {5, 6, 7}, 8),
        (MAX_FLAW_ID, {MAX_FLAW_ID}, 0),
        (MAX_FLAW_ID, {MAX_FLAW_ID, 0}, 1),
    ],
)
def test_a_public_id_that_is_taken_becomes_the_next_free_one(wanted: int, used: set[int], given: int) -> None:
    assert next_free(wanted, used) == given


def test_tags_of_the_file_are_stored_as_those_of_the_import_and_what_is_left_out_is_told() -> None:
    tally = Tally()
    stager = FindingsStager(JOB, tally)
    stager.add(
        1,
        [
            Finding(key="k", number=1, title="t", severity=Severity.HIGH, tags=("SAST", "Web App")),
            Asset(ref="h", name="h", tags=("DMZ", "***")),
        ],
    )
    rows = stager.take()
    assert rows[staging.findings][0][-1] == ["sast", "web_app"]
    assert rows[staging.assets][0][-1] == ["dmz"]
    assert {code: count for code, (_, count) in tally.cautions.items()} == {"TAGS_LEFT_OUT": 1}
