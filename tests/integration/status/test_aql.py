"""Queries in AQL on real tables."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import event
from sqlalchemy import text as sql

from dialects.assets.aql import parse_aql
from dialects.assets.aql_tree import AqlError, write_value
from runtime.database import Database as Adapter
from services.status.store.aql import Page, count_objects, find_objects
from tests.fakes.workspaces import FOREIGN, HOME, SECOND
from tests.integration.serving import connected
from tests.integration.status.rows import Rows
from tests.stack import Database

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MOST_PROCESSES = 5
CREATED = datetime(2026, 3, 1, 12, 30, 15, 500_000, tzinfo=UTC)


@dataclass
class Assets:
    """A workspace of the test's, and queries on it."""

    adapter: Adapter
    rows: Rows
    ids: dict[str, int] = field(default_factory=dict)
    """Of objects, by label, and of schemas, by name."""

    def schema(self, name: str, key: str, **columns: Any) -> int:
        columns = {"workspace_id": HOME.workspace_id, "name": name, "key": key, **columns}
        self.ids[name] = int(self.rows.insert("object_schemas", returning="object_schema_id", **columns))
        return self.ids[name]

    def type(self, schema_id: int, name: str, **columns: Any) -> int:
        columns = {"object_schema_id": schema_id, "name": name, **columns}
        return int(self.rows.insert("object_types", returning="object_type_id", **columns))

    def attribute(self, type_id: int, name: str, kind: str = "text", **columns: Any) -> int:
        columns = {"object_type_id": type_id, "name": name, "type": kind, **columns}
        return int(self.rows.insert("object_attributes", returning="attribute_id", **columns))

    def object(self, type_id: int, label: str, values: dict[int, Any] | None, **columns: Any) -> int:
        """`values` by attributes; those of references are ids of objects."""
        document = None if values is None else Jsonb({str(each): value for each, value in values.items()})
        columns = {"key": json.dumps([label]), "created_at": CREATED, "updated_at": CREATED, **columns}
        columns |= {"object_type_id": type_id, "label": label, "document": document}
        self.ids[label] = int(self.rows.insert("objects", returning="object_id", **columns))
        return self.ids[label]

    def refer(self, object_id: int, attribute_id: int, *targets: int) -> None:
        for target in targets:
            self.rows.insert("object_references", object_id=object_id, attribute_id=attribute_id, target_id=target)

    async def find(self, text: str, page: Page | None = None, *, workspace_id: UUID = HOME.workspace_id) -> list[str]:
        """Labels, in the order of the answer."""
        _, rows = await self.asked(text, page, workspace_id=workspace_id)
        return [row["label"] for row in rows]

    async def asked(
        self, text: str, page: Page | None = None, *, workspace_id: UUID = HOME.workspace_id, **more: Any
    ) -> tuple[int, list[Any]]:
        async with self.adapter.transaction(1) as connection:
            return await find_objects(connection, 1, workspace_id, parse_aql(text), page or Page(), now=NOW, **more)

    async def plans(self, text: str) -> list[dict[str, Any]]:
        """Of the count and the page, as they were carried out."""
        sent: list[tuple[str, Any]] = []

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
            sent.append((statement, parameters))

        engine = self.adapter._engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            await self.asked(text)
        finally:
            event.remove(engine, "before_cursor_execute", note)
        settings = [one for one in sent if "set_config" in one[0]]
        async with self.adapter.transaction(1) as connection:
            for statement, parameters in settings:
                await connection.exec_driver_sql(statement, parameters)
            explained = "EXPLAIN (ANALYZE, TIMING off, FORMAT json) "
            found = [await connection.exec_driver_sql(explained + one[0], one[1]) for one in sent[-2:]]
        return [result.scalar_one()[0]["Plan"] for result in found]


@pytest.fixture
async def assets(database: Database, rows: Rows) -> AsyncIterator[Assets]:
    async with connected(database, "hythe_status") as adapter:
        yield Assets(adapter, rows)


@pytest.fixture
def hosts(assets: Assets) -> Assets:
    """Four hosts with all kinds of values, two sites that some are at, and a person with a size of another kind."""
    schema_id = assets.schema("IT Assets", "ITSM")
    site = assets.type(schema_id, "Site")
    site_name, country = assets.attribute(site, "Name", is_label=True), assets.attribute(site, "Country")
    machine = assets.type(schema_id, "Machine", is_abstract=True)
    serial = assets.attribute(machine, "Serial Number")
    host = assets.type(schema_id, "Host", parent_id=machine, is_inherited=True)
    name = assets.attribute(host, "Name", is_label=True)
    cores, load = assets.attribute(host, "Cores", "integer"), assets.attribute(host, "Load", "double")
    active = assets.attribute(host, "Active", "boolean")
    bought, seen = assets.attribute(host, "Bought", "date"), assets.attribute(host, "Seen", "date_time")
    backup = assets.attribute(host, "Backup", "time")
    tags = assets.attribute(host, "Tags", "select", maximum_cardinality=-1)
    ports = assets.attribute(host, "Ports", "integer", maximum_cardinality=-1)
    location = assets.attribute(host, "Location", "referenced_object", reference_type_id=site)
    peers = assets.attribute(host, "Peers", "referenced_object", reference_type_id=host, maximum_cardinality=-1)
    size = assets.attribute(host, "Size", "integer")
    people = assets.schema("People", "HR")
    person = assets.type(people, "Person")
    shirt = assets.attribute(person, "size")

    zurich = assets.object(site, "Zürich", {site_name: "Zürich", country: "CH"})
    berlin = assets.object(site, "Berlin", {site_name: "Berlin", country: "DE"})
    web = assets.object(
        host,
        "web-1",
        {
            name: "web-1", serial: 'A"1', cores: 8, load: 0.5, active: True, bought: "2025-01-31",
            seen: "2026-03-04T05:00:00Z", backup: "02:30:00", tags: ["Prod", "50%_off"], ports: [80, 443],
            location: zurich, size: 42,
        },
    )  # fmt: skip
    db = assets.object(
        host,
        "DB-1",
        {
            name: "DB-1", serial: "B2", cores: 16, load: 12.25, active: False, bought: "2026-02-01",
            seen: "2026-03-03T23:59:59Z", tags: ["prod"], ports: [5432], location: berlin, peers: [web],
        },
        created_at=datetime(2026, 3, 4, 4, 0, tzinfo=UTC),
    )  # fmt: skip
    spare = assets.object(host, "Spare", {name: "Spare"})
    proxy = assets.object(host, "proxy", {name: "proxy", cores: 2, peers: [web, db]})
    assets.object(person, "Ada", {shirt: "XL"})
    assets.object(host, "gone", None)
    assets.refer(web, location, zurich)
    assets.refer(db, location, berlin)
    assets.refer(db, peers, web)
    assets.refer(proxy, peers, web, db)
    assert spare

    other = assets.type(assets.schema("Elsewhere", "ITSM", workspace_id=SECOND.workspace_id), "Host")
    assets.attribute(other, "Secret")
    assets.object(other, "elsewhere", {})
    return assets


FOUND = {
    "": "Ada Berlin DB-1 Spare Zürich proxy web-1",
    'objectType = "Host"': "DB-1 Spare proxy web-1",
    "objecttype = machine": "",
    "objectType in objectTypeAndChildren(Machine)": "DB-1 Spare proxy web-1",
    'objectType = objectTypeAndChildren("machine") AND Cores = 2': "proxy",
    "objectType not in (Host, Site)": "Ada",
    "objectType LIKE os": "DB-1 Spare proxy web-1",
    "objectType STARTSWITH s OR objectType endsWith SON": "Ada Berlin Zürich",
    'objectSchema = "people"': "Ada",
    'objectSchema != "IT Assets"': "Ada",
    "Name = WEB-1": "web-1",
    "Name == WEB-1": "",
    "Name == web-1": "web-1",
    "Name = ZÜRICH": "Zürich",
    "Name != web-1 AND objectType = Host": "DB-1 Spare proxy",
    "label LIKE R": "Berlin Spare Zürich proxy",
    "label NOT LIKE R AND objectType = Host": "DB-1 web-1",
    "Name startsWith db": "DB-1",
    "Name NOT startsWith db AND objectType = Host": "Spare proxy web-1",
    "Name endsWith -1": "DB-1 web-1",
    "Name IN (web-1, ADA, nobody)": "Ada web-1",
    "Name > q AND objectType = Host": "Spare web-1",
    '"Serial Number" = "a\\"1"': "web-1",
    '"Serial Number" IS EMPTY': "Spare proxy",
    '"Serial Number" IS NOT EMPTY': "DB-1 web-1",
    '"Serial Number" != B2': "web-1",
    'NOT "Serial Number" = B2 AND objectType = Host': "Spare proxy web-1",
    "Cores = 8.0": "web-1",
    "Cores > 8": "DB-1",
    "Cores >= 8": "DB-1 web-1",
    "Cores < 8": "proxy",
    "Cores <= 8": "proxy web-1",
    "Cores != 8": "DB-1 proxy",
    "Cores IN (2, 16, many)": "DB-1 proxy",
    "Cores NOT IN (2, 16)": "web-1",
    "Cores LIKE 6": "DB-1",
    "Load > .5": "DB-1",
    "Load = 5e-1": "web-1",
    "Active = TRUE": "web-1",
    "Active != true": "DB-1",
    "Active IN (true, false)": "DB-1 web-1",
    "Bought = 2025-01-31": "web-1",
    "Bought > 2025-01-31": "DB-1",
    'Bought >= "2025-01-31"': "DB-1 web-1",
    "Bought < now(-31d)": "web-1",
    'Bought < "now(-4w)"': "DB-1 web-1",
    "Seen = 2026-03-03": "DB-1",
    "Seen = '2026-03-04 05:00'": "web-1",
    "Seen = '2026-03-04T06:00:00+01:00'": "web-1",
    "Seen IN (2026-03-03, 2026-03-04)": "DB-1 web-1",
    "Seen >= startOfDay()": "web-1",
    "Seen < startOfDay()": "DB-1",
    "Seen > -1h": "web-1",
    "Backup < 03:00": "web-1",
    "Backup = 2:30": "web-1",
    "Tags = PROD": "DB-1 web-1",
    "Tags == Prod": "web-1",
    "Tags != prod": "",
    'Tags LIKE "%_o"': "web-1",
    "Tags LIKE _": "web-1",
    "Tags NOT LIKE %": "DB-1",
    "Tags IS EMPTY": "Spare proxy",
    "Ports = 443": "web-1",
    "Ports > 1000": "DB-1",
    "Ports != 443": "DB-1",
    "Location = zürich": "web-1",
    "Location != Zürich": "DB-1",
    "Location IN (Berlin, Paris)": "DB-1",
    "Location IS EMPTY": "Spare proxy",
    "Location LIKE ER": "DB-1",
    "Location.Country = ch": "web-1",
    "Location.Country != CH": "DB-1",
    "NOT Location.Country = CH AND objectType = Host": "DB-1 Spare proxy",
    "Location.objectType = Site": "DB-1 web-1",
    "Peers = web-1": "DB-1 proxy",
    "Peers != DB-1": "DB-1",
    "Peers.Location.Country = DE": "proxy",
    "Peers.Peers.Name = web-1": "proxy",
    "Size = 42": "web-1",
    "Size = xl": "Ada",
    "Size > 7 OR Size = 42": "Ada web-1",
    "Size IS EMPTY": "DB-1 Spare proxy",
    "object HAVING inboundReferences()": "Berlin DB-1 Zürich web-1",
    "object HAVING inR(objectType = Host AND Name = proxy)": "DB-1 web-1",
    "object NOT HAVING outboundReferences() AND objectType = Host": "Spare",
    "object HAVING outR(object HAVING outR(Country = DE))": "proxy",
    "object = Ada": "Ada",
    "Created = 2026-03-04": "DB-1",
    "Created > startOfDay()": "DB-1",
    'Created = "2026-03-01 12:30:15" AND objectType = Site': "Berlin Zürich",
    "Updated <= 2026-03-02 AND objectType = Person": "Ada",
    "Key LIKE hr-": "Ada",
    "Name IS EMPTY": "",
    "objectType = Host AND (Cores = 2 OR Cores = 8) AND NOT Active = true": "proxy",
    "objectType = Host AND Cores = 2 OR objectType = Person": "Ada proxy",
}
"""Labels of what each query finds."""


async def test_queries_find_what_they_say_in_the_order_of_labels(hosts: Assets) -> None:
    found = {text: await hosts.find(text) for text in FOUND}
    assert {text: " ".join(sorted(labels)) for text, labels in found.items()} == FOUND
    assert all(labels == sorted(labels, key=str.lower) for labels in found.values())


async def test_keys_and_ids_are_of_one_object(hosts: Assets) -> None:
    web, zurich = hosts.ids["web-1"], hosts.ids["Zürich"]
    found = {
        f"Key = ITSM-{web}": "web-1",
        f'key IN ("itsm-{web}", "HR-{zurich}", "ITSM-", "{web}", "ITSM-99999999999999999999")': "web-1",
        f"Key != ITSM-{web} AND objectType = Host": "DB-1 Spare proxy",
        f"Key ENDSWITH -{web}": "web-1",
        f"objectId = {web}": "web-1",
        f"objectId IN ({web}, {zurich})": "Zürich web-1",
        f"objectId >= {web} AND objectId <= {web}": "web-1",
        f"Location = ITSM-{zurich}": "web-1",
        f"Location != ITSM-{zurich}": "DB-1",
        f"Location.Key = ITSM-{zurich}": "web-1",
        f"object = ITSM-{web}": "web-1",
    }
    assert {text: " ".join(sorted(await hosts.find(text))) for text in found} == found


async def test_types_and_schemas_are_named_by_ids_as_well(hosts: Assets) -> None:
    _, rows = await hosts.asked("Name = web-1")
    type_id = rows[0]["object_type_id"]
    everybody = {"DB-1", "Spare", "proxy", "web-1"}
    for text in (
        f"objectTypeId = {type_id}",
        f"objectTypeId in ({type_id})",
        f"objectType = {type_id}",
        f'objectType in objectTypeAndChildren("{type_id}")',
        f"objectTypeId in objectTypeAndChildren({type_id})",
    ):
        assert set(await hosts.find(text)) == everybody, text
    assert await hosts.find(f"objectSchemaId in ({hosts.ids['People']})") == ["Ada"]


async def test_an_order_puts_what_has_no_value_first(hosts: Assets) -> None:
    orders = {
        "Name DESC": "web-1 Spare proxy DB-1",
        "Cores": "Spare proxy web-1 DB-1",
        "cores desc": "DB-1 web-1 proxy Spare",
        "Load DESC": "DB-1 web-1 Spare proxy",
        "Bought": "Spare proxy web-1 DB-1",
        "Tags": "Spare proxy web-1 DB-1",
        "Location": "Spare proxy DB-1 web-1",
        "Location.Country DESC": "DB-1 web-1 Spare proxy",
        "Peers DESC": "DB-1 proxy web-1 Spare",
        "Created DESC": "DB-1 web-1 Spare proxy",
        "Key DESC": "proxy Spare DB-1 web-1",
        "objectId": "web-1 DB-1 Spare proxy",
        "label": "DB-1 proxy Spare web-1",
        '"Serial Number" DESC': "DB-1 web-1 Spare proxy",
    }
    assert {order: " ".join(await hosts.find(f"objectType = Host ORDER BY {order}")) for order in orders} == orders


async def test_pages_have_the_number_of_all_objects(hosts: Assets) -> None:
    pages = [await hosts.asked("", Page(offset, 3)) for offset in (0, 3, 6, 9)]
    assert [total for total, _ in pages] == [7] * 4
    labels = [[row["label"] for row in rows] for _, rows in pages]
    assert labels == [["Ada", "Berlin", "DB-1"], ["proxy", "Spare", "web-1"], ["Zürich"], []]
    async with hosts.adapter.transaction(1) as connection:
        query = parse_aql("Cores > 2 ORDER BY Cores")
        assert await count_objects(connection, 1, HOME.workspace_id, query, now=NOW) == 2


async def test_documents_come_when_they_are_asked_for(hosts: Assets) -> None:
    _, rows = await hosts.asked("Name = Ada")
    assert list(rows[0]["document"].values()) == ["XL"]
    assert rows[0]["created_at"] == rows[0]["updated_at"] == CREATED
    _, rows = await hosts.asked("Name = Ada", with_documents=False)
    assert "document" not in rows[0]


async def test_a_workspace_shows_its_own_objects_only(hosts: Assets) -> None:
    assert await hosts.find("", workspace_id=SECOND.workspace_id) == ["elsewhere"]
    for name, workspace_id in (("Secret", HOME.workspace_id), ("Cores", SECOND.workspace_id)):
        with pytest.raises(AqlError, match=f"No matching attribute for AQL clause .{name} IS EMPTY.") as refusal:
            await hosts.find(f"{name} IS EMPTY", workspace_id=workspace_id)
        assert refusal.value.reason == "AQL_NAME_UNKNOWN"
    assert await hosts.find("", workspace_id=FOREIGN.workspace_id) == []
    async with hosts.adapter.transaction(2) as connection:
        assert await find_objects(connection, 2, HOME.workspace_id, parse_aql(""), Page(), now=NOW) == (0, [])


HOSTILE = (
    "'; DROP TABLE objects; --",
    '" OR ""="',
    "\\'; SELECT pg_sleep(10); --",
    "%(param_1)s",
    ":tenant_id_1",
    "$1",
    "{}",
    "$[*] ? (1 == 1)",
    "\U0001d56b \u034f \u202e\u0301",
    "\\",
    "%",
    "_",
    "x" * 5000,
)


@pytest.mark.parametrize("clause", ["Name {} {}", '"Serial Number" {} {}', "Tags {} {}", "Location {} {}", "Key {} {}"])
async def test_hostile_values_are_values(hosts: Assets, clause: str) -> None:
    for text in HOSTILE:
        value = write_value(text)
        for operator in ("=", "==", "LIKE", "STARTSWITH", "ENDSWITH"):
            assert await hosts.find(clause.format(operator, value)) == (
                ["web-1"] if clause.startswith("Tags") and operator == "LIKE" and text in "50%_off" else []
            )
        assert await hosts.find(clause.format("IN", f"({value})")) == []
    assert len(await hosts.find("")) == 7


async def test_a_list_may_be_long(hosts: Assets) -> None:
    numbers = ", ".join(map(str, range(1000)))
    assert await hosts.find(f"Cores IN ({numbers})") == ["DB-1", "proxy", "web-1"]
    assert await hosts.find(f"Name IN ({numbers})") == []
    moments = ", ".join(f"2026-03-{day % 31 + 1:02}" for day in range(800))
    assert await hosts.find(f"Seen IN ({moments})") == ["DB-1", "web-1"]


async def test_a_query_may_be_as_large_as_can_be(hosts: Assets) -> None:
    """Nothing that can be read is too much for the compiler or the database."""
    many = " OR ".join(f"Cores={number % 100}" for number in range(500))
    assert await hosts.find(many) == ["DB-1", "proxy", "web-1"]
    assert sorted(await hosts.find("NOT (" * 25 + "Name = Ada" + ")" * 25)) == FOUND[""].removeprefix("Ada ").split()
    assert await hosts.find("NOT " * 50 + "Name = Ada") == ["Ada"]
    assert await hosts.find(" OR ".join([".".join(["Peers"] * 9) + ".Cores = 1"] * 2)) == []
    assert await hosts.find("object HAVING outR(" * 20 + "Cores = 1" + ")" * 20) == []
    with pytest.raises(AqlError, match="more than 20 references"):
        await hosts.find("object HAVING outR(" * 21 + "Cores = 1" + ")" * 21)
    with pytest.raises(AqlError, match="more than 20 references"):
        await hosts.find(" OR ".join(["Location = x"] * 21))


async def test_a_query_has_ten_seconds_or_what_is_left_of_its_call(hosts: Assets) -> None:
    limits = {}
    for limit in ("30s", "4s", "0"):
        async with hosts.adapter.transaction(1) as connection:
            await connection.execute(sql(f"SET LOCAL statement_timeout = '{limit}'"))
            await count_objects(connection, 1, HOME.workspace_id, parse_aql("Name = x"), now=NOW)
            limits[limit] = await connection.scalar(sql("SHOW statement_timeout"))
    assert limits == {"30s": "10s", "4s": "4s", "0": "10s"}


def fill(assets: Assets, *, is_analyzed: bool) -> None:
    """100,000 hosts at 1,000 sites."""
    schema_id = assets.schema("IT Assets", "ITSM")
    site, host = assets.type(schema_id, "Site"), assets.type(schema_id, "Host")
    country = assets.attribute(site, "Country")
    serial, cores = assets.attribute(host, "Serial"), assets.attribute(host, "Cores", "integer")
    location = assets.attribute(host, "Location", "referenced_object", reference_type_id=site)
    tags = assets.attribute(host, "Tags", maximum_cardinality=-1)
    execute = assets.rows.connection.execute
    execute(
        """
        INSERT INTO objects (tenant_id, object_type_id, key, label, document)
        SELECT 1, %s, n, 'site-' || n, jsonb_build_object(%s::text, (ARRAY['CH', 'DE'])[n %% 2 + 1])
        FROM generate_series(1, 1000) n
        """,
        [site, country],
    )
    execute(
        """
        INSERT INTO objects (tenant_id, object_type_id, key, label, document)
        SELECT 1, %s, n, 'host-' || n,
               jsonb_build_object(%s::text, md5(n::text), %s::text, n %% 64, %s::text, jsonb_build_array('t' || n %% 7))
        FROM generate_series(1, 100000) n
        """,
        [host, serial, cores, tags],
    )
    execute(
        """
        INSERT INTO object_references (tenant_id, object_id, attribute_id, target_id)
        SELECT 1, object_id, %s, (SELECT min(object_id) FROM objects) + object_id %% 1000
        FROM objects WHERE object_type_id = %s
        """,
        [location, host],
    )
    if is_analyzed:
        execute("ANALYZE objects, object_references")


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if plan.get("Relation Name") in {"objects", "object_references"}:
        yield plan
    for part in plan.get("Plans", ()):
        yield from scans(part)


@pytest.mark.parametrize("is_analyzed", [True, False])
async def test_a_table_is_never_read_again_for_each_object(assets: Assets, is_analyzed: bool) -> None:
    """Also without statistics, as after the first large import."""
    fill(assets, is_analyzed=is_analyzed)
    for text in (
        "objectType = Host AND Name = host-77",
        "Cores > 60 ORDER BY Cores",
        "Tags = t3 AND NOT Serial LIKE a",
        "Location = site-7 AND Cores = 5",
        "Location.Country = CH OR Serial = x",
        "NOT Location.Country = CH ORDER BY Location.Country DESC",
        "object HAVING outR(object HAVING inR(Name = host-9))",
        "objectType = Site AND object NOT HAVING inR()",
        f"Location IN ({', '.join(f'site-{number}' for number in range(300))})",
    ):
        for plan in await assets.plans(text):
            # Of a parallel scan, each process counts as a loop.
            assert all(scan["Actual Loops"] <= MOST_PROCESSES for scan in scans(plan)), (text, plan)


async def test_a_key_is_found_by_an_index(assets: Assets) -> None:
    fill(assets, is_analyzed=True)
    for text in ("Key = ITSM-500", "objectId IN (1, 2)", "Location = site-7 AND Key = ITSM-1500"):
        for plan in await assets.plans(text):
            assert {scan.get("Index Name") for scan in scans(plan)} & {"pk_objects"}, (text, plan)
