from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.importer.engine.claims import Claim
from services.importer.engine.flip import flip
from services.importer.engine.frames import Rejected
from services.importer.engine.progress import Progress
from services.importer.targets.findings.records import AffectedAsset, Asset, Evidence, Finding, Port, Severity
from services.importer.targets.findings.target import FindingsTarget
from tests.integration.importer.workbench import Engine


def finding(key: str = "10", severity: Severity = Severity.HIGH, **more: Any) -> Finding:
    return Finding(key=key, number=int(key), title=f"Title {key}", severity=severity, **more)


def asset(ref: str, **more: Any) -> Asset:
    return Asset(ref=ref, name=more.pop("name", ref), **more)


def item(key: str, host: str, port: int = 80, proof: str = "seen", **more: Any) -> list[Any]:
    return [
        finding(key),
        asset(host, **more),
        AffectedAsset(
            finding=key, asset=host, port=port, protocol="tcp", evidence=(Evidence("output", proof, len(proof)),)
        ),
    ]


ALL_TABLES = ("findings", "assets", "asset_keys", "affected_assets", "evidence")


async def target_rows(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    return {table: await engine.rows(f"SELECT xmin::text, * FROM {table} ORDER BY 2, 3, 4, 5") for table in ALL_TABLES}


async def counts(engine: Engine) -> dict[str, int]:
    return {table: len(rows) for table, rows in (await target_rows(engine)).items()}


async def test_everything_of_a_first_import_is_inserted(engine: Engine) -> None:
    done = await engine.imported([item("10", "a"), item("10", "b"), item("11", "a", port=443)])
    assert await engine.outcome(done) == {"inserted": 3}
    assert await counts(engine) == {
        "findings": 2,
        "assets": 2,
        "asset_keys": 2,
        "affected_assets": 3,
        "evidence": 3,
    }


async def test_the_same_import_again_rewrites_no_row_and_leaves_sightings(engine: Engine) -> None:
    items = [item("10", "a"), item("10", "b", ips=("10.0.0.1",)), item("11", "a", port=443)]
    await engine.imported(items, asset_tags=["x"], finding_tags=["y"])
    before = await target_rows(engine)

    again = await engine.imported(items, asset_tags=["x"], finding_tags=["y"])

    assert await target_rows(engine) == before
    assert await engine.outcome(again) == {"unchanged": 3}
    seen = await engine.rows("SELECT kind, count(*) FROM sightings WHERE import_id = %s GROUP BY 1 ORDER BY 1", again)
    assert {row["kind"]: row["count"] for row in seen} == {
        "affected_asset": 3,
        "asset": 2,
        "evidence": 3,
        "finding": 2,
    }


async def test_an_overlapping_import_adds_only_what_is_new(engine: Engine) -> None:
    await engine.imported([item("10", "a"), item("11", "a")])
    second = await engine.imported([item("11", "a"), item("11", "b"), item("12", "b")])
    assert await engine.outcome(second) == {"unchanged": 1, "inserted": 2}
    assert (await counts(engine))["findings"] == 3
    assert (await counts(engine))["assets"] == 2


async def test_an_item_said_twice_in_a_file_is_skipped_and_its_new_proof_kept(engine: Engine) -> None:
    done = await engine.imported([item("10", "a"), item("10", "a"), item("10", "a", proof="other")])
    assert await engine.outcome(done) == {"inserted": 1, "skipped": 1, "updated": 1}
    assert (await counts(engine))["affected_assets"] == 1
    assert (await counts(engine))["evidence"] == 2


async def test_new_proof_on_a_known_instance_is_added(engine: Engine) -> None:
    await engine.imported([item("10", "a")])
    again = await engine.imported([item("10", "a", proof="later")])
    assert await engine.outcome(again) == {"updated": 1}
    assert (await counts(engine))["evidence"] == 2


async def test_the_gravest_severity_of_a_key_in_one_file_wins(engine: Engine) -> None:
    await engine.imported(
        [[finding(severity=Severity.LOW)], [finding(severity=Severity.CRITICAL)], [finding(severity=Severity.HIGH)]]
    )
    assert await engine.value("SELECT severity FROM findings") == Severity.CRITICAL


async def test_a_finding_that_people_may_have_edited_keeps_its_texts(engine: Engine) -> None:
    await engine.imported([[finding(description="first")]])
    await engine.admin.execute("UPDATE findings SET title = 'Edited', severity = 4")
    await engine.imported([[finding(description="second")]])
    (row,) = await engine.rows("SELECT title, severity, description FROM findings")
    assert row == {"title": "Edited", "severity": 4, "description": "first"}


async def test_tags_reach_known_rows_and_leave_an_image_of_what_was(engine: Engine) -> None:
    await engine.imported([item("10", "a")], asset_tags=["old"], finding_tags=["old"])
    second = await engine.imported([item("10", "a")], asset_tags=["new"], finding_tags=["new"])
    assert await engine.value("SELECT tags FROM findings") == ["new", "old"]
    assert await engine.value("SELECT tags FROM assets") == ["new", "old"]
    assert await engine.outcome(second) == {"updated": 1}
    images = await engine.rows("SELECT kind, image->'tags' AS tags FROM before_images WHERE import_id = %s", second)
    assert sorted((row["kind"], row["tags"]) for row in images) == [("asset", ["old"]), ("finding", ["old"])]
    assert await engine.value("SELECT count(*) FROM tags") == 2


async def test_tags_of_the_file_are_united_with_those_of_the_import_and_registered(engine: Engine) -> None:
    await engine.imported(
        [[finding(tags=("SAST",)), asset("a", tags=("DMZ",))], [finding(tags=("Web App",), severity=Severity.LOW)]],
        asset_tags=["x"],
        finding_tags=["y"],
    )
    assert await engine.value("SELECT tags FROM findings") == ["sast", "web_app", "y"]
    assert await engine.value("SELECT tags FROM assets") == ["dmz", "x"]
    assert await registered(engine) == ["dmz", "sast", "web_app", "x", "y"]


async def test_tags_of_the_file_reach_known_rows_and_nothing_changes_when_they_have_them(engine: Engine) -> None:
    known = [[finding(tags=("old",)), asset("a", tags=("old",))]]
    await engine.imported(known)
    before = await target_rows(engine)
    assert await engine.outcome(await engine.imported(known)) == {"unchanged": 1}
    assert await target_rows(engine) == before

    again = await engine.imported([[finding(tags=("new",)), asset("a", tags=("new",))]])
    assert await engine.outcome(again) == {"updated": 1}
    assert await engine.value("SELECT tags FROM findings") == ["new", "old"]
    assert await engine.value("SELECT tags FROM assets") == ["new", "old"]
    images = await engine.rows("SELECT kind, image->'tags' AS tags FROM before_images WHERE import_id = %s", again)
    assert sorted((row["kind"], row["tags"]) for row in images) == [("asset", ["old"]), ("finding", ["old"])]
    assert await registered(engine) == ["new", "old"]


async def test_the_cves_of_all_definitions_of_a_finding_are_united_in_the_order_of_the_file(engine: Engine) -> None:
    several = [
        [finding(cves=("CVE-2021-3", "CVE-2021-1"), severity=Severity.LOW)],
        [finding(cves=("CVE-2021-2", "CVE-2021-1"), description="The gravest.")],
        [finding("11", cves=("CVE-2021-9", "CVE-2021-8"))],
        [finding("12"), finding("12", severity=Severity.LOW)],
    ]
    await engine.imported(several)
    rows = await engine.rows("SELECT cves, description FROM findings ORDER BY key")
    assert [row["cves"] for row in rows] == [
        ["CVE-2021-3", "CVE-2021-1", "CVE-2021-2"],
        ["CVE-2021-9", "CVE-2021-8"],
        [],
    ]
    assert rows[0]["description"] == "The gravest."


async def test_the_ports_that_several_rows_tell_of_an_asset_are_united(engine: Engine) -> None:
    ssh, unnamed, dns = Port(22, "tcp", "ssh"), Port(22, "tcp"), Port(53, "udp", "domain")
    rows = [[asset("a", ports=(unnamed,))], [asset("a")], [asset("a", ports=(dns,))], [asset("a", ports=(ssh, dns))]]
    await engine.imported(rows)
    ports = await engine.value("SELECT ports FROM assets")
    assert {name: port["service"] for name, port in ports.items()} == {"22/tcp": "ssh", "53/udp": "domain"}
    assert await engine.outcome(await engine.imported(rows)) == {"unchanged": 1, "skipped": 3}


async def registered(engine: Engine) -> list[str]:
    return [row["tag"] for row in await engine.rows("SELECT tag FROM tags ORDER BY 1")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (asset("1", name="WEB.example.com"), asset("2", name="web.example.com")),
        (asset("1", name="a", hostname="web"), asset("2", name="web")),
        (asset("1", name="10.0.0.7"), asset("2", name="x", ips=("10.0.0.7",))),
        (asset("1", name="x", ips=("10.0.0.1", "10.0.0.2")), asset("2", name="y", ips=("10.0.0.2",))),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_assets_that_share_a_name_or_an_address_are_one(
    engine: Engine, first: Asset, second: Asset, together: bool
) -> None:
    if together:
        await engine.imported([[first], [second]])
    else:
        await engine.imported([[first]])
        await engine.imported([[second]])
    assert (await counts(engine))["assets"] == 1


async def test_assets_linked_through_a_chain_of_keys_are_one(engine: Engine) -> None:
    chain = [[asset(str(n), name=f"n{n}", ips=(f"10.0.0.{n}", f"10.0.0.{n + 1}"))] for n in (5, 3, 1, 4, 2)]
    await engine.imported(chain)
    assert (await counts(engine))["assets"] == 1
    assert await engine.value("SELECT cardinality(ips) FROM assets") == 6


async def test_of_several_matching_assets_the_oldest_wins_and_the_conflict_is_told(engine: Engine) -> None:
    await engine.imported([[asset("1", name="one")]])
    await engine.imported([[asset("2", name="two")]])
    third = await engine.imported([[asset("3", name="one", hostname="two", ips=("10.0.0.9",))]])
    assert (
        await engine.value("SELECT a.name FROM assets a JOIN asset_keys k USING (asset_id) WHERE k.value = '10.0.0.9'")
        == "one"
    )
    (caution,) = await engine.value("SELECT cautions FROM import_progress WHERE import_id = %s", third)
    assert (caution["code"], caution["count"]) == ("ASSET_CONFLICT", 1)


async def test_what_a_scan_adds_to_a_known_asset_is_united(engine: Engine) -> None:
    await engine.imported(
        [[asset("a", ips=("10.0.0.1",), operating_systems=("Linux",), ports=(Port(22, "tcp", "ssh"),))]]
    )
    second = await engine.imported(
        [[asset("a", ips=("10.0.0.2",), operating_systems=("Linux", "BSD"), mac="00:11", ports=(Port(80, "tcp"),))]]
    )
    (row,) = await engine.rows("SELECT ips, operating_systems, mac, ports FROM assets")
    assert row["ips"] == ["10.0.0.1", "10.0.0.2"]
    assert row["operating_systems"] == ["BSD", "Linux"]
    assert row["mac"] == "00:11"
    assert sorted(row["ports"]) == ["22/tcp", "80/tcp"]
    assert await engine.outcome(second) == {"updated": 1}


async def test_ports_of_findings_are_ports_of_their_asset(engine: Engine) -> None:
    await engine.imported([item("10", "a", port=443), item("10", "a", port=0)])
    assert sorted(await engine.value("SELECT ports FROM assets")) == ["443/tcp"]


async def test_public_ids_are_the_scanners_own_where_free(engine: Engine) -> None:
    await engine.imported(
        [[finding("10"), Finding(key="other", number=10, title="x", severity=Severity.LOW), finding("11")]]
    )
    rows = await engine.rows("SELECT key, flaw_id FROM findings ORDER BY key")
    ids = {row["key"]: row["flaw_id"] for row in rows}
    assert (ids["10"], ids["11"]) == (10, 11)
    assert ids["other"] == 12


async def test_an_instance_without_its_definition_is_a_caution_and_an_outcome(engine: Engine) -> None:
    done = await engine.imported([item("10", "a"), [AffectedAsset(finding="nowhere", asset="a")]])
    assert await engine.outcome(done) == {"inserted": 1, "skipped": 1}
    (caution,) = await engine.value("SELECT cautions FROM import_progress WHERE import_id = %s", done)
    assert caution["code"] == "DEFINITION_MISSING"


async def test_definitions_may_follow_their_uses(engine: Engine) -> None:
    uses = [AffectedAsset(finding="10", asset="a", port=1, protocol="tcp")]
    done = await engine.imported([uses, [asset("a")], [finding("10")]])
    assert await engine.outcome(done) == {"inserted": 3}


async def test_rejected_items_are_rows_and_the_rest_is_imported(engine: Engine) -> None:
    rejected = [Rejected(2, "line 7", "severity", "BAD_SEVERITY", "no such severity", "Zap")]
    done = await engine.imported([item("10", "a")], rejected)
    assert await engine.outcome(done) == {"inserted": 1, "rejected": 1}
    (row,) = await engine.rows("SELECT * FROM row_errors WHERE import_id = %s", done)
    assert (row["record_number"], row["code"], row["value"]) == (2, "BAD_SEVERITY", "Zap")


async def test_only_the_first_thousand_errors_become_rows(engine: Engine) -> None:
    rejected = [Rejected(n, "", "f", "C", "m", "") for n in range(2, 1503)]
    done = await engine.imported([item("10", "a")], rejected)
    assert await engine.outcome(done) == {"inserted": 1, "rejected": 1501}
    assert await engine.value("SELECT count(*) FROM row_errors") == 1000


async def test_nothing_of_staging_claims_or_outbox_is_left(engine: Engine) -> None:
    await engine.imported([item("10", "a")])
    assert (
        await engine.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging' AND tablename ~ '[0-9a-f]{32}'")
        == 0
    )
    for table in ("staging.checkpoints", "import_leases", "import_requests", "outbox WHERE topic = 'run'"):
        assert await engine.value(f"SELECT count(*) FROM {table}") == 0


async def test_two_merges_of_the_same_scan_at_once_neither_deadlock_nor_duplicate(engine: Engine) -> None:
    items = [item(str(10 + n % 7), f"host{n % 50}", port=n % 3, ips=(f"10.0.0.{n % 50}",)) for n in range(400)]
    claims: list[Claim] = [await engine.claimed(await engine.queued()) for _ in range(3)]
    prepared = [await engine.staged(claim, items) for claim in claims]
    target = FindingsTarget()
    async with asyncio.timeout(60):
        await asyncio.gather(
            *(
                flip(engine.worker, target, claim, staging, checkpoint, Progress(1, target.merge_steps))
                for claim, (staging, checkpoint) in zip(claims, prepared, strict=True)
            )
        )
    alone = await counts(engine)
    assert alone["findings"] == 7
    assert alone["assets"] == 50
    assert await engine.value("SELECT count(*) FROM imports WHERE state = 'SUCCEEDED'") == 3
    assert (
        await engine.value("SELECT count(DISTINCT (finding_id, asset_id, place)) FROM affected_assets")
        == alone["affected_assets"]
    )


async def test_a_large_merge_gives_what_a_small_one_gives(engine: Engine) -> None:
    """Above a threshold the planner is told to hash; the rows must not know."""
    items = [item(str(10 + n % 20), f"host{n}", port=n % 5, ips=(f"10.0.{n // 250}.{n % 250}",)) for n in range(2_500)]
    done = await engine.imported(items)
    assert await engine.outcome(done) == {"inserted": 2_500}
    assert await engine.outcome(await engine.imported(items)) == {"unchanged": 2_500}


async def test_a_megabyte_in_every_text_is_stored(engine: Engine) -> None:
    big = "é" * 1_000_000
    done = await engine.imported(
        [
            [
                finding(description=big, recommendations=big, references=big),
                asset("a", name=big, hostname=big, mac=big, netbios=big, description=big, operating_systems=(big,)),
                AffectedAsset(
                    finding="10",
                    asset="a",
                    location=big,
                    notes=big,
                    parameters=(big,),
                    evidence=(Evidence(big, big, 1),),
                ),
            ]
        ],
        asset_tags=["t"],
    )
    assert await engine.outcome(done) == {"inserted": 1}
    assert await engine.value("SELECT length(code) FROM evidence") == 1_000_000
