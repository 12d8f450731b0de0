from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from services.importer.assets.callbacks import CallbackPlaces, NoPlace

SLOW, OTHER, THIRD = 1, 2, 3


async def test_a_tenant_has_its_places_and_no_more() -> None:
    places = CallbackPlaces(at_once=3, per_tenant=2)
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(places.place(SLOW))
        with pytest.raises(NoPlace):
            await held.enter_async_context(places.place(SLOW, wait_seconds=0.01))
        await held.enter_async_context(places.place(OTHER, wait_seconds=0.01))
        with pytest.raises(NoPlace):
            await held.enter_async_context(places.place(THIRD, wait_seconds=0.01))
    async with places.place(THIRD, wait_seconds=0.01), places.place(SLOW, wait_seconds=0.01):
        pass


async def test_those_that_wait_for_a_place_of_their_own_tenant_are_not_before_others() -> None:
    places = CallbackPlaces(at_once=2, per_tenant=1)
    async with places.place(SLOW):
        waiting = asyncio.ensure_future(places.place(SLOW).__aenter__())
        await asyncio.sleep(0)
        async with places.place(OTHER, wait_seconds=0.01):
            assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_room_to_wait_is_bounded_for_each_tenant_and_comes_back() -> None:
    places = CallbackPlaces(per_tenant=1, in_hand_per_tenant=2)
    async with AsyncExitStack() as held:
        await held.enter_async_context(places.place(SLOW))
        assert places.has_room(SLOW)
        waiting = asyncio.ensure_future(places.place(SLOW).__aenter__())
        await asyncio.sleep(0)
        assert (places.has_room(SLOW), places.has_room(OTHER)) == (False, True)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert places.has_room(SLOW)
    assert not places._tenants, "nothing is kept of tenants without a call"
