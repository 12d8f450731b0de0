"""The gates of a trigger for files of the wrong size or age, as the database sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest

from tests.integration.import_api import KEY, Api, opened, refusal
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

REFUSED = grpc.StatusCode.FAILED_PRECONDITION


@pytest.fixture
async def api(database: Database, object_store: Bucket) -> AsyncIterator[Api]:
    async with opened(database, object_store) as api:
        yield api


async def test_the_declared_size_is_held_against_the_object(api: Api) -> None:
    await api.admin.execute("UPDATE files SET declared_size = 51")
    assert await refusal(api.create()) == (REFUSED, "SIZE_MISMATCH")
    await api.admin.execute("UPDATE files SET declared_size = 50")
    await api.create()


@pytest.mark.parametrize(
    ("ages", "is_refused"),
    [
        ("created_at = now() - interval '25 hours'", True),
        ("created_at = now() - interval '23 hours'", False),
        ("created_at = now() - interval '9 days', completed_at = now() - interval '23 hours'", False),
        ("created_at = now() - interval '9 days', completed_at = now() - interval '25 hours'", True),
    ],
)
async def test_an_upload_that_nobody_imports_expires(api: Api, ages: str, is_refused: bool) -> None:
    await api.admin.execute(f"UPDATE files SET {ages}".encode())
    if is_refused:
        assert await refusal(api.create()) == (REFUSED, "UPLOAD_EXPIRED")
    else:
        await api.create()


async def test_what_an_import_keeps_does_not_expire(api: Api) -> None:
    await api.create()
    await api.admin.execute("UPDATE files SET created_at = now() - interval '9 days'")
    await api.create()
    await api.admin.execute("UPDATE import_inputs SET purged_at = now()")
    assert await refusal(api.create()) == (REFUSED, "UPLOAD_EXPIRED")


async def test_an_import_of_another_tenant_keeps_nothing_alive(api: Api) -> None:
    await api.create()
    await api.admin.execute("UPDATE files SET created_at = now() - interval '9 days'")
    for table in ("import_inputs", "import_claims", "import_progress", "outbox"):
        await api.admin.execute(f"DELETE FROM {table}".encode())
    await api.admin.execute("UPDATE imports SET tenant_id = 2")
    await api.admin.execute(
        "INSERT INTO import_inputs (tenant_id, import_id, number, object_key, etag, size) "
        "SELECT 2, import_id, 0, %s, 'e', 50 FROM imports",
        (api.objects.object_key(KEY),),
    )
    assert await refusal(api.create()) == (REFUSED, "UPLOAD_EXPIRED")
