"""The long documents of the PlexTrac API, put together from the shapes of things and the streams they are read from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from operator import itemgetter
from typing import Any

from dialects.plextrac.assets import affected_asset, client_asset, finding_on_asset
from dialects.plextrac.findings import finding_head
from dialects.plextrac.paging import ListBody, page, page_meta
from services.status.assets import OpenAssets
from services.status.findings import OpenFindings
from services.status.grouping import Belongings, Group, group_rows
from services.status.json_stream import encode, write_object
from services.status.model import Batches


async def write_findings(opened: OpenFindings) -> AsyncGenerator[bytes, None]:
    """Findings with all their affected assets, with commas between."""
    separator = b""
    for finding in opened.findings:
        yield separator
        separator = b","
        async with aclosing(opened.places(finding["finding_id"])) as places:
            async for chunk in write_object(finding_head(finding, opened.names), "affected_assets", affected(places)):
                yield chunk


async def affected(places: Batches) -> AsyncGenerator[tuple[str, Any], None]:
    async for group in group_rows(places, "asset_id"):
        yield str(group[0]["asset_id"]), affected_asset(in_order(group))


async def write_page(member: str, items: Iterable[Any], body: ListBody, total: int) -> AsyncGenerator[bytes, None]:
    """A page of a v2 list whose items are of a known length."""
    yield encode(page(member, items, body, total))


async def write_finding_page(opened: OpenFindings, body: ListBody) -> AsyncGenerator[bytes, None]:
    """The envelope of the v2 list of findings."""
    meta = page_meta(body, opened.total) | {"flawIds": [finding["flaw_id"] for finding in opened.findings]}
    yield b'{"status":"success","data":['
    async for chunk in write_findings(opened):
        yield chunk
    yield b'],"meta":' + encode(meta) + b"}"


async def write_assets(opened: OpenAssets) -> AsyncGenerator[bytes, None]:
    """Assets with all findings on them, with commas between."""
    places = Belongings(group_rows(opened.places, "asset_id", "flaw_id"), "asset_id")

    async def entries(asset_id: int) -> AsyncGenerator[tuple[str, Any], None]:
        async for group in places.of(asset_id):
            yield str(group[0]["flaw_id"]), finding_on_asset(in_order(group))

    separator = b""
    async for batch in opened.assets:
        for asset in batch:
            yield separator
            separator = b","
            async for chunk in write_object(client_asset(asset), "findings", entries(asset["asset_id"])):
                yield chunk


async def write_asset_array(opened: OpenAssets) -> AsyncGenerator[bytes, None]:
    """The same as a bare array."""
    yield b"["
    async for chunk in write_assets(opened):
        yield chunk
    yield b"]"


def in_order(group: Group) -> Group:
    """The places of one finding on one asset as they were first seen, so that the same answer is the same bytes."""
    return sorted(group, key=itemgetter("place_affected_id"))
