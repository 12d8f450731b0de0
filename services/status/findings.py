"""Reading findings: those of a report, one of them with all its places, the evidence of one place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from runtime.auth import Principal
from runtime.database import Database
from runtime.errors import NotFound
from services.status.model import Batches, Listing, Row
from services.status.paging import cut
from services.status.store import findings as store
from services.status.store.access import in_report


@dataclass(frozen=True, slots=True)
class OpenFindings:
    """Findings whose places are still to be read: `places` streams those of one finding, by asset.

    `names` are those of the report and its client; `total` counts all findings that fit the listing.
    """

    names: Row
    findings: Sequence[Row]
    total: int
    places: Callable[[int], Batches]


class Findings:
    """Of one report each, as far as a principal may see it."""

    def __init__(self, database: Database, streams: Database) -> None:
        self._database = database
        self._streams = streams

    async def list_findings(
        self, principal: Principal, client_id: int, report_id: int, *, after: int, size: int
    ) -> tuple[list[Row], bool]:
        """A page by public id, and whether there are more."""
        async with in_report(self._database, principal, client_id, report_id) as (connection, _):
            found = await store.list_findings(connection, principal.tenant_id, report_id, after=after, limit=size + 1)
        return cut(found, size)

    @asynccontextmanager
    async def summaries(self, principal: Principal, client_id: int, report_id: int) -> AsyncIterator[Batches]:
        """Batches of all findings, without their long texts, while the context is open."""
        async with (
            in_report(self._streams, principal, client_id, report_id) as (connection, _),
            aclosing(store.stream_summaries(connection, principal.tenant_id, report_id)) as batches,
        ):
            yield batches

    @asynccontextmanager
    async def opened(
        self, principal: Principal, client_id: int, report_id: int, flaw_id: int
    ) -> AsyncIterator[OpenFindings]:
        """One finding."""
        async with in_report(self._streams, principal, client_id, report_id) as (connection, names):
            finding = await store.find_finding(connection, principal.tenant_id, report_id, flaw_id)
            if finding is None:
                raise no_finding(report_id, flaw_id)
            yield OpenFindings(names, [finding], 1, partial(store.stream_places, connection, principal.tenant_id))

    @asynccontextmanager
    async def opened_page(
        self, principal: Principal, client_id: int, report_id: int, listing: Listing
    ) -> AsyncIterator[OpenFindings]:
        """A page of findings."""
        async with in_report(self._streams, principal, client_id, report_id) as (connection, names):
            total, page = await store.page_of_findings(connection, principal.tenant_id, report_id, listing)
            yield OpenFindings(names, page, total, partial(store.stream_places, connection, principal.tenant_id))

    @asynccontextmanager
    async def evidence(
        self, principal: Principal, client_id: int, report_id: int, flaw_id: int, asset_id: int
    ) -> AsyncIterator[Batches]:
        """Batches of the evidence of one finding on one asset; there may be none."""
        async with in_report(self._streams, principal, client_id, report_id) as (connection, _):
            finding = await store.find_finding(connection, principal.tenant_id, report_id, flaw_id)
            if finding is None:
                raise no_finding(report_id, flaw_id)
            proofs = store.stream_evidence(connection, principal.tenant_id, finding["finding_id"], asset_id)
            async with aclosing(proofs) as batches:
                yield batches


def no_finding(report_id: int, flaw_id: int) -> NotFound:
    return NotFound(
        "FINDING_NOT_FOUND",
        f"There is no finding {flaw_id} in report {report_id}.",
        report_id=str(report_id),
        flaw_id=str(flaw_id),
    )
