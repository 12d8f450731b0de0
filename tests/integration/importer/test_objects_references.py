from __future__ import annotations

from typing import Any

import pytest

from services.importer.engine.statements import Statements
from services.importer.targets.objects import key_lookups, resolution
from services.importer.targets.objects.catalog import load
from services.importer.targets.objects.matches import Match
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.objects.queries import compile_query
from tests.integration.importer.depot import Depot, Type
from tests.integration.importer.workbench import Engine


@pytest.fixture
async def depot(engine: Engine) -> Depot:
    return await Depot.of(engine)


@pytest.fixture
async def system(depot: Depot) -> Type:
    return await depot.type("System", Vendor="text", Release="integer", Aliases={"type": "text", "most": -1})


async def host_of(depot: Depot, system: Type, query: str = "Name = ${name}", **more: Any) -> Type:
    host = await depot.type("Host", Comment="text", OS={"to": system, "query": query, **more})
    depot.plan = ObjectPlan(types=(system.plan(), host.plan()))
    return host


async def test_an_object_refers_to_one_that_is_there_and_the_run_has_seen_that(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system)
    await depot.imported(system.row(Name="Linux"), system.row(Name="BSD"))
    import_id = await depot.imported(host.row(Name="web1", OS="linux"), host.row(Name="web2", OS="BSD"))
    found = await depot.documents(host)
    assert {name: document["OS"] for name, document in found.items()} == {"web1": "Linux", "web2": "BSD"}
    await depot.assert_references()
    assert await depot.counters(import_id, host) == {"entries": 2, "created": 2, "updated_references": 2}
    assert await depot.engine.value("SELECT count(*) FROM sightings WHERE import_id = %s", import_id) == 2


@pytest.mark.parametrize("is_first", [True, False])
async def test_objects_of_one_run_refer_to_each_other_in_any_order(depot: Depot, system: Type, is_first: bool) -> None:
    host = await host_of(depot, system)
    rows = [system.row(Name="Linux"), host.row(Name="web1", OS="Linux")]
    import_id = await depot.imported(*(rows if is_first else reversed(rows)))
    assert await depot.documents(host) == {"web1": {"Name": "web1", "OS": "Linux"}}
    await depot.assert_references()
    assert await depot.cautions(import_id) == {}
    # What a run brings itself it need not have seen.
    assert await depot.engine.value("SELECT count(*) FROM sightings") == 0


async def test_objects_refer_to_each_other_in_circles_and_to_themselves(depot: Depot) -> None:
    peer = await depot.type("Peer", Peer={"to": "itself", "most": -1})
    depot.plan = ObjectPlan(types=(peer.plan(),))
    rows = [peer.row(Name="a", Peer=["b"]), peer.row(Name="b", Peer=["c", "a"]), peer.row(Name="c", Peer=["c"])]
    await depot.imported(*rows)
    found = {name: document["Peer"] for name, document in (await depot.documents()).items()}
    assert found == {"a": ["b"], "b": ["c", "a"], "c": ["c"]}
    await depot.assert_references()
    before = await depot.versions()
    again = await depot.imported(*rows)
    assert await depot.engine.outcome(again) == {"unchanged": 3}
    assert await depot.versions() == before


async def test_a_reference_that_leads_nowhere_is_told_and_its_object_imported(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system)
    await depot.imported(system.row(Name="Linux"))
    rows = [host.row(Name="web1", OS="Plan 9"), host.row(Name="web2", OS="Plan 9"), host.row(Name="web3", OS="Linux")]
    import_id = await depot.imported(*rows)
    assert await depot.engine.outcome(import_id) == {"inserted": 3}
    assert await depot.cautions(import_id) == {"REFERENCE_NOT_FOUND": 2}
    assert (await depot.counters(import_id, host))["not_found"] == 2
    assert (await depot.documents())["web1"] == {"Name": "web1"}
    # Once it is there, it is found.
    await depot.imported(system.row(Name="Plan 9"))
    again = await depot.imported(*rows)
    assert await depot.engine.outcome(again) == {"updated": 2, "unchanged": 1}
    assert await depot.counters(again, host) == {
        "entries": 3, "updated": 2, "identical": 1, "updated_references": 2,
    }  # fmt: skip
    await depot.assert_references()


@pytest.mark.parametrize(("empty_values", "kept"), [("IGNORE", {"OS": "Linux"}), ("REMOVE", {})])
async def test_what_is_not_found_is_like_an_empty_value(
    depot: Depot, system: Type, empty_values: Any, kept: dict[str, str]
) -> None:
    host = await host_of(depot, system)
    depot.plan = ObjectPlan(types=(system.plan(), host.plan(empty_values=empty_values)))
    await depot.imported(system.row(Name="Linux"), host.row(Name="web1", OS="Linux"))
    await depot.imported(host.row(Name="web1", OS="Plan 9"))
    assert await depot.documents(host) == {"web1": {"Name": "web1", **kept}}
    await depot.assert_references()


async def test_a_single_reference_leads_to_the_oldest_of_several(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system, "Vendor = ${vendor}", places=("vendor",))
    await depot.imported(system.row(Name="one", Vendor="ACME"), system.row(Name="two", Vendor="ACME"))
    import_id = await depot.imported(host.row(Name="web1", OS="acme"), host.row(Name="web2", OS="acme"))
    assert (await depot.documents())["web1"]["OS"] == "one"
    assert await depot.cautions(import_id) == {"REFERENCE_AMBIGUOUS": 2}


async def test_a_reference_to_several_has_all_that_fit_in_order(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system, "Vendor = ${vendor}", places=("vendor",), most=-1)
    await depot.imported(
        *(system.row(Name=name, Vendor=vendor) for name, vendor in (("a", "X"), ("b", "Y"), ("c", "X")))
    )
    await depot.imported(host.row(Name="web1", OS=["Y", "X", "Z"]))
    assert (await depot.documents())["web1"]["OS"] == ["b", "a", "c"]
    await depot.assert_references()
    # No value any more: the mapping keeps it, as it says of empty values.
    again = await depot.imported(host.row(Name="web1"))
    assert await depot.engine.outcome(again) == {"unchanged": 1}
    emptied = await depot.imported(host.row("OS", Name="web1"))
    assert await depot.engine.outcome(emptied) == {"updated": 1}
    assert await depot.engine.value("SELECT count(*) FROM object_references") == 0


async def test_no_more_objects_are_referred_to_than_an_attribute_may_have(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system, "Vendor = ${vendor}", places=("vendor",), most=2)
    await depot.imported(*(system.row(Name=name, Vendor="X") for name in "abc"))
    import_id = await depot.imported(host.row(Name="web1", OS=["X"]))
    assert (await depot.documents())["web1"]["OS"] == ["a", "b"]
    assert await depot.cautions(import_id) == {"REFERENCES_TOO_MANY": 1}


@pytest.mark.parametrize(
    ("query", "said", "found"),
    [
        ("Name = ${v}", "ubuntu 24", ["Ubuntu 24"]),
        ("Name == ${v}", "ubuntu 24", []),
        ("Name == ${v}", "Ubuntu 24", ["Ubuntu 24"]),
        ("label = ${v}", "ubuntu 24", ["Ubuntu 24"]),
        ("Name LIKE ${v}", "buntu", ["Ubuntu 24", "Ubuntu 22", "Xubuntu"]),
        ("Name STARTSWITH ${v}", "ubuntu", ["Ubuntu 24", "Ubuntu 22"]),
        ("Name ENDSWITH ${v}", "22", ["Ubuntu 22"]),
        ("Name IN (${v})", "Xubuntu", ["Xubuntu"]),
        ("Name LIKE ${v} AND Vendor = Canonical", "buntu", ["Ubuntu 24", "Ubuntu 22"]),
        ("Name LIKE ${v} AND Vendor != Canonical", "buntu", ["Xubuntu"]),
        ("Name LIKE ${v} AND NOT Vendor = Canonical", "buntu", ["Xubuntu"]),
        ("Name LIKE ${v} AND Release > 2", "buntu", ["Ubuntu 24"]),
        ("Name LIKE ${v} AND Release IS EMPTY", "buntu", ["Xubuntu"]),
        ("Name LIKE ${v} AND Release IS NOT EMPTY AND Release NOT IN (2)", "buntu", ["Ubuntu 24"]),
        ("Release = ${v}", "24.0", ["Ubuntu 24"]),
        ("Release >= ${v}", "2", ["Ubuntu 24", "Ubuntu 22"]),
        ("Release = ${v}", "'; DROP TABLE objects; --", []),
        ("Aliases = ${v}", "NOBLE", ["Ubuntu 24"]),
        ("Aliases LIKE ${v}", "am", ["Ubuntu 22"]),
        ("Name = ${v} OR Aliases = ${v}", "jammy", ["Ubuntu 22"]),
        ("objectType = System AND Aliases IN (${v})", "noble", ["Ubuntu 24"]),
        ("objectType = Host AND Name = ${v}", "Xubuntu", []),
        ("objectType IN objectTypeAndChildren(System) AND Name = ${v}", "Xubuntu", ["Xubuntu"]),
        ('objectSchema = Hardware AND Name = "${v}"', "Xubuntu", ["Xubuntu"]),
        ("Vendor = %s AND Name = ${v}", "Xubuntu", []),
        ('Name = ${v} AND Vendor = "a:b {c} \'"', "Xubuntu", []),
    ],
)
async def test_queries(depot: Depot, system: Type, query: str, said: str, found: list[str]) -> None:
    host = await host_of(depot, system, query, places=("v",), most=-1)
    await depot.imported(
        system.row(Name="Ubuntu 24", Vendor="Canonical", Release=24, Aliases=["noble"]),
        system.row(Name="Ubuntu 22", Vendor="Canonical", Release=2, Aliases=["jammy", "lts"]),
        system.row(Name="Xubuntu", Vendor="Others"),
        system.row(Name="BSD"),
    )
    import_id = await depot.imported(host.row(Name="web1", OS=[said]))
    assert (await depot.documents())["web1"].get("OS", []) == found
    assert await depot.cautions(import_id) == ({} if found else {"REFERENCE_NOT_FOUND": 1})


async def test_a_reference_by_the_key_of_an_object(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system, "Key = ${key}", places=("key",))
    await depot.imported(system.row(Name="Linux"))
    object_id = await depot.engine.value("SELECT object_id FROM objects")
    await depot.imported(host.row(Name="web1", OS=f"hw-{object_id}"))
    assert (await depot.documents())["web1"]["OS"] == "Linux"


async def test_a_query_of_several_values(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system, "Name = ${name} AND Release = ${release}", places=("name", "release"))
    depot.plan = ObjectPlan(types=(system.plan(by=("Name", "Release")), host.plan()))
    by = ("Name", "Release")
    await depot.imported(system.row(by=by, Name="Linux", Release=5), system.row(by=by, Name="Linux", Release=6))
    await depot.imported(host.row(Name="web1", OS=("Linux", "6")))
    (document,) = (await depot.documents(host)).values()
    (referred,) = await depot.engine.rows(
        "SELECT document FROM objects JOIN object_references ON target_id = objects.object_id"
    )
    assert document["OS"] == "Linux"
    assert referred["document"][str(system.id_of("Release"))] == 6


async def test_of_a_part_of_a_name_the_whole_name_is_preferred(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system, "Name LIKE ${name}")
    await depot.imported(system.row(Name="macOS Big Sur Beta"), system.row(Name="macOS Big Sur"))
    import_id = await depot.imported(host.row(Name="web1", OS="macos big sur"), host.row(Name="web2", OS="Beta"))
    found = await depot.documents(host)
    assert (found["web1"]["OS"], found["web2"]["OS"]) == ("macOS Big Sur", "macOS Big Sur Beta")
    assert await depot.cautions(import_id) == {}


@pytest.mark.parametrize("most", [1, -1])
async def test_parts_are_not_looked_for_where_that_takes_too_long(
    depot: Depot, system: Type, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    host = await host_of(depot, system, "Name LIKE ${name}", most=most)
    await depot.imported(system.row(Name="Linux"), system.row(Name="BSD"))
    monkeypatch.setattr(resolution, "MOST_PAIRS", 1)
    import_id = await depot.imported(host.row(Name="web1", OS=["bsd"]), host.row(Name="web2", OS=["Lin"]))
    expected = {1: "BSD", -1: ["BSD"]}[most]
    assert (await depot.documents())["web1"]["OS"] == expected
    assert set(await depot.cautions(import_id)) == {"REFERENCE_NOT_FOUND", "REFERENCE_QUERY_TOO_WIDE"}


@pytest.mark.parametrize(
    "query",
    [
        "Vendor.Name = ${v}",
        "Colour = ${v}",
        "Name = ${other}",
        "Name = currentUser()",
        "object HAVING inboundReferences(Name = ${v})",
        "Name = ${v",
        "objectType > ${v}",
    ],
)
async def test_a_query_that_cannot_be_answered_is_told_and_the_objects_imported(
    depot: Depot, system: Type, query: str
) -> None:
    host = await host_of(depot, system, query, places=("v",))
    import_id = await depot.imported(host.row(Name="web1", OS="Linux"))
    assert await depot.engine.outcome(import_id) == {"inserted": 1}
    assert await depot.cautions(import_id) == {"REFERENCE_NOT_FOUND": 1, "REFERENCE_QUERY_OUTDATED": 1}


async def test_objects_of_types_below_are_found_by_what_they_inherit(depot: Depot, system: Type) -> None:
    unix = await depot.type("Unix", parent=system)
    host = await host_of(depot, system)
    depot.plan = ObjectPlan(types=(unix.plan(), host.plan()))
    await depot.imported(unix.row(Name="Linux"), host.row(Name="web1", OS="Linux"))
    assert (await depot.documents())["web1"]["OS"] == "Linux"


async def test_a_removed_object_and_one_of_another_tenant_are_not_found(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system)
    await depot.imported(system.row(Name="Linux"), system.row(Name="BSD"))
    await depot.engine.admin.execute("UPDATE objects SET document = NULL WHERE label = 'Linux'")
    await depot.engine.admin.execute("UPDATE objects SET tenant_id = 2 WHERE label = 'BSD'")
    import_id = await depot.imported(host.row(Name="web1", OS="Linux"), host.row(Name="web2", OS="BSD"))
    assert await depot.cautions(import_id) == {"REFERENCE_NOT_FOUND": 2}


async def test_what_a_run_says_of_an_object_is_what_it_is_found_by(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system, "Vendor = ${vendor}", places=("vendor",))
    await depot.imported(system.row(Name="one", Vendor="old"), system.row(Name="two", Vendor="other"))
    await depot.imported(
        system.row(Name="one", Vendor="new"), host.row(Name="web1", OS="new"), host.row(Name="web2", OS="old")
    )
    found = await depot.documents(host)
    assert found == {"web1": {"Name": "web1", "OS": "one"}, "web2": {"Name": "web2"}}


@pytest.mark.parametrize("most_keys", [0, 10_000])
async def test_what_is_exactly_of_a_text_is_meant_rather_than_what_is_older(
    depot: Depot, system: Type, monkeypatch: pytest.MonkeyPatch, most_keys: int
) -> None:
    monkeypatch.setattr(resolution, "MOST_KEYS", most_keys)
    host = await host_of(depot, system)
    await depot.imported(*(system.row(Name=name) for name in ("WEB", "web", "db", "Db")))
    import_id = await depot.imported(
        *(host.row(Name=f"h{n}", OS=said) for n, said in enumerate(("web", "WEB", "Web", "DB", "none")))
    )
    found = await depot.documents(host)
    assert [document.get("OS") for document in found.values()] == ["web", "WEB", "WEB", "db", None]
    assert await depot.cautions(import_id) == {"REFERENCE_AMBIGUOUS": 2, "REFERENCE_NOT_FOUND": 1}


@pytest.mark.parametrize("most_keys", [0, 10_000])
@pytest.mark.parametrize(
    ("query", "said", "found"),
    [
        ("Name = ${name} AND Vendor = ${vendor}", ("a", "y"), ["a/y"]),
        ("Vendor == ${vendor} AND Name == ${name} AND Release > 1", ("a", "x"), ["a/x"]),
        ("Name == ${name} AND Vendor == ${vendor} AND Release > 7", ("a", "x"), []),
        # Of one identifier alone no key can be made.
        ("Name = ${name}", ("a", "-"), ["a/x", "a/y"]),
        # The child type has other identifiers, and so has one that has lost its key.
        ("Name == ${name} AND Vendor == ${vendor}", ("b", "z"), ["b/z", "b/z below"]),
        ("Name == ${name} AND Vendor == ${vendor}", ("lost", "z"), ["lost/z"]),
    ],
)
async def test_the_same_is_found_by_keys_as_without_them(
    depot: Depot, monkeypatch: pytest.MonkeyPatch, most_keys: int, query: str, said: Any, found: list[str]
) -> None:
    monkeypatch.setattr(resolution, "MOST_KEYS", most_keys)
    system = await depot.type("Version", Vendor="text", Release="integer", Comment="text")
    below = await depot.type("Below", parent=system)
    places = tuple(each for each in ("name", "vendor") if f"${{{each}}}" in query)
    places = tuple(sorted(places, key=query.index))
    host = await depot.type("Host", OS={"to": system, "query": query, "places": places, "most": -1})
    by = ("Name", "Vendor")
    depot.plan = ObjectPlan(types=(system.plan(by=by, label="Comment"), below.plan(label="Comment"), host.plan()))
    for vendor, release, name in (("x", 2, "a"), ("y", 3, "a"), ("z", 4, "b"), ("z", 5, "lost")):
        row = system.row(by=by, Name=name, Vendor=vendor, Release=release, Comment=f"{name}/{vendor}", label="Comment")
        await depot.imported(row)
    await depot.imported(below.row(Name="b", Vendor="z", Comment="b/z below", label="Comment"))
    await depot.engine.admin.execute(b"UPDATE objects SET key = NULL WHERE label LIKE 'lost%'")
    values = dict(zip(("name", "vendor"), said, strict=True))
    await depot.imported(host.row(Name="web1", OS=[tuple(values[each] for each in places)]))
    assert sorted((await depot.documents(host))["web1"].get("OS", [])) == found


async def test_a_key_without_case_finds_what_differs_in_it(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system, most=-1)
    depot.plan = ObjectPlan(types=(system.plan(ignores_case=True), host.plan()))
    await depot.imported(system.row(Name="linux"))
    await depot.engine.admin.execute(b"UPDATE objects SET document = replace(document::text, 'linux', 'LINUX')::jsonb")
    await depot.imported(host.row(Name="web1", OS=["Linux"]))
    assert (await depot.documents(host))["web1"]["OS"] == ["linux"]


async def test_a_type_that_gets_other_identifiers_is_looked_up_by_those(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system, "Vendor == ${vendor}", places=("vendor",))
    await depot.imported(system.row(Name="one", Vendor="X"))
    depot.plan = ObjectPlan(types=(system.plan(by=("Vendor",)), host.plan()))
    await depot.imported(host.row(Name="web1", OS="X"))
    assert (await depot.documents(host))["web1"]["OS"] == "one"


async def test_few_questions_do_not_read_a_large_type(depot: Depot, system: Type) -> None:
    host = await host_of(depot, system)
    await depot.imported(system.row(Name="S0"))
    await depot.engine.admin.execute(
        b"INSERT INTO objects (tenant_id, object_type_id, key, label, document) "
        b"SELECT 1, %s, jsonb_build_array(v)::text, v, jsonb_build_object(%s::text, v) "
        b"FROM (SELECT 'S' || n AS v FROM generate_series(1, 20000) n) s",
        (system.type_id, system.id_of("Name")),
    )
    await depot.engine.admin.execute(b"ANALYZE objects")
    reference = host.attributes["OS"].reference
    assert reference is not None
    async with depot.engine.worker.transaction(1) as connection:
        sql = Statements(connection, {}, {"tenant": 1, "workspace": depot.workspace_id})
        catalog = await load(sql)
        lookup = compile_query(reference, catalog, Match.SAME)
        keyed = key_lookups.keyed_types(lookup, catalog)
        narrowed = key_lookups.narrow(lookup, keyed, [(f"S{n}",) for n in range(100)])
        query = resolution.candidates(lookup.types, (), narrowed.conditions)
        plan = "\n".join((await sql.run(f"EXPLAIN {query}", **narrowed.parameters)).scalars())
        found = (await sql.run(query, **narrowed.parameters)).rowcount
    assert "Seq Scan" not in plan, plan
    assert found == 100
