"""What an upload must be for a trigger to take it, beyond being there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from runtime.errors import FailedPrecondition
from runtime.objects import ObjectInfo
from tests.fakes.people import IMPORTER
from tests.unit.importer.bench import KEY, TRIGGER, Bench

DAY = timedelta(hours=24)


@pytest.mark.parametrize("declared", [0, 100])
async def test_a_file_of_the_declared_size_is_imported(bench: Bench, declared: int) -> None:
    bench.store.sizes[KEY] = declared
    assert (await bench.imports.create(IMPORTER, TRIGGER)).file_size == 100


@pytest.mark.parametrize("declared", [99, 101])
async def test_a_file_of_another_size_than_declared_is_refused(bench: Bench, declared: int) -> None:
    bench.store.sizes[KEY] = declared
    refusal = await bench.refused(TRIGGER)
    assert isinstance(refusal, FailedPrecondition)
    assert (refusal.reason, refusal.metadata) == ("SIZE_MISMATCH", {"size": "100", "declared_size": str(declared)})


async def test_the_limit_is_told_before_the_size(bench: Bench) -> None:
    bench.store.sizes[KEY] = 10
    bench.upload(KEY, ObjectInfo(1_001, "etag"))
    assert (await bench.refused(TRIGGER)).reason == "FILE_TOO_LARGE"


async def test_a_file_that_nobody_has_imported_for_a_day_is_refused(bench: Bench) -> None:
    bench.store.ages[KEY] = DAY
    assert (await bench.refused(TRIGGER)).reason == "UPLOAD_EXPIRED"
    bench.store.ages[KEY] = DAY - timedelta(seconds=1)
    await bench.imports.create(IMPORTER, TRIGGER)


async def test_a_file_that_an_import_keeps_may_be_imported_again_however_old(bench: Bench) -> None:
    await bench.imports.create(IMPORTER, TRIGGER)
    bench.store.ages[KEY] = 10 * DAY
    await bench.imports.create(IMPORTER, TRIGGER)


async def test_a_repeated_trigger_is_answered_however_old_the_file(bench: Bench) -> None:
    trigger = replace(TRIGGER, request_id="mine")
    first = await bench.imports.create(IMPORTER, trigger)
    bench.store.ages[KEY] = 10 * DAY
    bench.store.sizes[KEY] = 1
    assert (await bench.imports.create(IMPORTER, trigger)).import_id == first.import_id
