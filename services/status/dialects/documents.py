"""The long documents of the PlexTrac API, put together from the shapes of things and the streams they are read from."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from dialects.plextrac.assets import affected_asset, client_asset, finding_on_asset
from dialects.plextrac.findings import finding_head
from dialects.plextrac.paging import ListBody, page_meta
from services.status.assets import OpenAssets
from services.status.findings import OpenFindings
from services.status.grouping import Belongings, group_rows
from services.status.json_stream import encode, write_object


async def write_findings(opened: OpenFindings) -> AsyncGenerator[bytes, None]:
    """Findings with all their affected assets, with commas between."""
    order = {finding["finding_id"]: number for number, finding in enumerate(opened.findings)}
    places = Belongings(group_rows(opened.places, "finding_id", "asset_id"), "finding_id", order.__getitem__)

    async def entries(finding_id: int) -> AsyncGenerator[tuple[str, Any], None]:
        async for group in places.of(finding_id):
            yield str(group[0]["asset_id"]), affected_asset(group)

    for finding in opened.findings:
        if order[finding["finding_id"]]:
            yield b","
        async for chunk in write_object(
            finding_head(finding, opened.names), "affected_assets", entries(finding["finding_id"])
        ):
            yield chunk


async def write_finding_page(opened: OpenFindings, body: ListBody) -> AsyncGenerator[bytes, None]:
    """The envelope of the v2 list of findings."""
    meta = page_meta(body, opened.total) | {"flawIds": [finding["flaw_id"] for finding in opened.findings]}
    yield b'{"status":"success","data":['
    async for chunk in write_findings(opened):
        yield chunk
    yield b'],"meta":' + encode(meta) + b"}"


async def write_assets(opened: OpenAssets) -> AsyncGenerator[bytes, None]:
    """Assets with all findings on them, with commas between."""
    places = Belongings(group_rows(opened.places, "asset_id", "flaw_id"), "asset_id", int)

    async def entries(asset_id: int) -> AsyncGenerator[tuple[str, Any], None]:
        async for group in places.of(asset_id):
            yield str(group[0]["flaw_id"]), finding_on_asset(group)

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
