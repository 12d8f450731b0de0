"""Reading assets: those of a client, of a report or of the tenant, with the findings on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from runtime.auth import Principal
from runtime.database import Database
from runtime.errors import NotFound
from services.status.model import Batches, Listing, Row
from services.status.paging import LARGEST_BIGINT, cut, parse_number
from services.status.store import assets as store
from services.status.store import findings as finding_store
from services.status.store.access import in_client, in_report


@dataclass(frozen=True, slots=True)
class OpenAssets:
    """Two streams by asset id: the assets, and the places on them with their findings.

    The second may have places of assets that the first has not; those belong to somebody else.
    """

    assets: Batches
    places: Batches


class Assets:
    """As far as a principal may see their clients."""

    def __init__(self, database: Database, streams: Database) -> None:
        self._database = database
        self._streams = streams

    async def list_assets(
        self, principal: Principal, client_id: int, report_id: int | None, *, after: int, size: int
    ) -> tuple[list[Row], bool]:
        """A page by id, and whether there are more. Without a report: all of the client."""
        scope = (
            in_client(self._database, principal, client_id)
            if report_id is None
            else in_report(self._database, principal, client_id, report_id)
        )
        async with scope as (connection, _):
            found = await store.list_assets(
                connection, principal.tenant_id, client_id, report_id, after=after, limit=size + 1
            )
        return cut(found, size)

    async def page_of_client(
        self, principal: Principal, client_id: int, listing: Listing
    ) -> tuple[int, list[Row], Mapping[int, Mapping[int, int]]]:
        """The number of all that fit, those of the page, and for each how many findings of each severity it has."""
        async with in_client(self._database, principal, client_id) as (connection, _):
            total, page = await store.page_of_client_assets(connection, principal.tenant_id, client_id, listing)
            ids = [asset["asset_id"] for asset in page]
            return total, page, await store.count_severities(connection, principal.tenant_id, ids)

    async def page_of_tenant(self, principal: Principal, listing: Listing) -> tuple[int, list[Row]]:
        """The number of all that fit, and those of the page."""
        async with self._database.transaction(principal.tenant_id) as connection:
            return await store.page_of_tenant_assets(connection, principal.tenant_id, principal.client_ids, listing)

    @asynccontextmanager
    async def of_client(self, principal: Principal, client_id: int) -> AsyncIterator[OpenAssets]:
        """All of a client."""
        tenant_id = principal.tenant_id
        async with (
            in_client(self._streams, principal, client_id) as (connection, _),
            aclosing(store.stream_assets(connection, tenant_id, client_id, None)) as assets,
            aclosing(finding_store.stream_findings_of_assets(connection, tenant_id, client_id)) as places,
        ):
            yield OpenAssets(assets, places)

    @asynccontextmanager
    async def of_report(self, principal: Principal, client_id: int, report_id: int) -> AsyncIterator[OpenAssets]:
        """Those of a client that a finding of the report is on, with the findings of that report."""
        tenant_id = principal.tenant_id
        async with (
            in_report(self._streams, principal, client_id, report_id) as (connection, _),
            aclosing(store.stream_assets(connection, tenant_id, client_id, report_id)) as assets,
            aclosing(
                finding_store.stream_findings_of_assets(connection, tenant_id, client_id, report_id=report_id)
            ) as places,
        ):
            yield OpenAssets(assets, places)

    @asynccontextmanager
    async def one(self, principal: Principal, client_id: int, asset_id: str) -> AsyncIterator[OpenAssets]:
        """A single asset, in the same form."""
        number = parse_id(asset_id)
        async with in_client(self._streams, principal, client_id) as (connection, _):
            asset = await store.find_asset(connection, principal.tenant_id, client_id, number)
            if asset is None:
                raise no_asset(asset_id)
            found = finding_store.stream_findings_of_assets(connection, principal.tenant_id, client_id, asset_id=number)
            async with aclosing(found) as places:
                yield OpenAssets(_once([asset]), places)


async def _once(batch: Sequence[Row]) -> Batches:
    yield batch


def parse_id(asset_id: str) -> int:
    """The public id of an asset is its number in decimals."""
    number = parse_number(asset_id, LARGEST_BIGINT)
    if number is None:
        raise no_asset(asset_id)
    return number


def no_asset(asset_id: str) -> NotFound:
    # The text is the caller's: no more of it is repeated than an id has.
    return NotFound("ASSET_NOT_FOUND", f"There is no asset {asset_id[:25]}.", asset_id=asset_id[:25])
