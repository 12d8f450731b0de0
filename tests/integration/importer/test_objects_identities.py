"""Who else maps an object type, and by what it tells its objects apart."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from services.importer.engine.failures import ImportFailure
from services.importer.targets.objects.plan import ObjectPlan
from tests.integration.importer.depot import Depot, Type
from tests.integration.importer.workbench import Engine


@pytest.fixture
async def depot(engine: Engine) -> Depot:
    return await Depot.of(engine)


@pytest.fixture
async def host(depot: Depot) -> Type:
    type_ = await depot.type("Host", Serial="text")
    depot.plan = ObjectPlan(types=(type_.plan(),))
    await depot.imported(type_.row(Name="a", Serial="1"), type_.row(Name="b", Serial="2"))
    return type_


async def keep_source(
    depot: Depot, plan: ObjectPlan, *, source_id: UUID | None = None, is_enabled: bool = True, tenant: int = 1
) -> None:
    await depot.engine.admin.execute(
        "INSERT INTO import_sources (tenant_id, import_source_id, workspace_id, object_schema_id, name, type, "
        "is_enabled, plan, user_id) VALUES (%s, %s, %s, %s, 'Register', 'external', %s, %s, 1)",
        (
            *(tenant, source_id or UUID(str(uuid7())), depot.workspace_id, depot.schema_id, is_enabled),
            Jsonb(msgspec.to_builtins(plan, str_keys=True)),
        ),
    )


async def keys(depot: Depot) -> list[str]:
    return [row["key"] for row in await depot.engine.rows("SELECT key FROM objects ORDER BY object_id")]


@pytest.mark.parametrize("more", [{}, {"by": ("Name", "Serial")}, {"ignores_case": True}])
async def test_a_run_fails_that_would_take_the_identity_from_another_source(
    depot: Depot, host: Type, more: dict[str, object]
) -> None:
    await keep_source(depot, ObjectPlan(types=(host.plan(**more),)))  # type: ignore[arg-type]
    by_serial = ObjectPlan(types=(host.plan(by=("Serial",)),))
    with pytest.raises(ImportFailure) as failed:
        await depot.imported(host.row(Name="c", Serial="3", by=("Serial",)), plan=by_serial)
    assert failed.value.code == "IDENTIFIERS_DIFFER"
    assert '"Register"' in failed.value.message
    assert '"Name"' in failed.value.message
    assert await keys(depot) == ['["a"]', '["b"]']


async def test_one_that_is_disabled_has_no_say_nor_have_those_of_other_types_tenants_and_its_own(
    depot: Depot, host: Type
) -> None:
    by_serial = ObjectPlan(types=(host.plan(by=("Serial",)),))
    by_name = ObjectPlan(types=(host.plan(),))
    other = await depot.type("Disk")
    await keep_source(depot, by_name, is_enabled=False)
    await keep_source(depot, by_name, source_id=depot.source_id)
    await keep_source(depot, by_serial)
    await keep_source(depot, ObjectPlan(types=(other.plan(),)))
    await depot.imported(host.row(Name="c", Serial="3", by=("Serial",)), plan=by_serial)
    assert await keys(depot) == ['["1"]', '["2"]', '["3"]']


async def test_a_run_that_minds_the_identity_is_not_disturbed_by_a_source_that_does_not(
    depot: Depot, host: Type
) -> None:
    await keep_source(depot, ObjectPlan(types=(host.plan(by=("Serial",)),)))
    import_id = await depot.imported(host.row(Name="a", Serial="3"))
    assert await depot.engine.outcome(import_id) == {"updated": 1}
