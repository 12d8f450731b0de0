"""The same client for programs without an event loop: each call runs the asyncio client in a loop of its own.

Not for use inside a running event loop, nor by several threads at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from grpc import aio

from hythe.importer.v1 import importer_pb2 as importer
from hythe.status.v1 import status_pb2 as status
from hythe_client.client import HytheClient, Item, Page, Paged
from hythe_client.connection import Request, Response

Result = TypeVar("Result")


class SyncHytheClient:
    """Takes what HytheClient takes, and answers the same. Close it, or use it as `with`."""

    def __init__(
        self,
        address: str,
        *,
        api_key: str | None = None,
        token: str | Callable[[], str] | None = None,
        tls: bool | Path = False,
        deadline_seconds: float = 10.0,
        channel: aio.Channel | None = None,
    ) -> None:
        async def open_client() -> HytheClient:
            return HytheClient(
                address, api_key=api_key, token=token, tls=tls, deadline_seconds=deadline_seconds, channel=channel
            )

        self._runner = asyncio.Runner()
        try:
            self._client = self._run(open_client())
        except BaseException:
            self._runner.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._run(self._client.close())
        self._runner.close()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    def _iterate(self, items: AsyncIterator[Item]) -> Iterator[Item]:
        async def following() -> tuple[Item, ...]:
            async for item in items:
                return (item,)
            return ()

        try:
            while found := self._run(following()):
                yield found[0]
        finally:
            if isinstance(items, AsyncGenerator):
                self._run(items.aclose())

    @property
    def channel(self) -> aio.Channel:
        """For stubs of services that this client has no methods for; their methods go to `call`."""
        return self._client.connection.channel

    def call(self, method: aio.UnaryUnaryMultiCallable[Request, Response], request: Request) -> Response:
        """Any unary RPC of a stub on `channel`."""
        return self._run(self._client.connection.call(method, request))

    def items(
        self,
        method: aio.UnaryUnaryMultiCallable[Paged, Page],
        request: Paged,
        items_of: Callable[[Page], Iterable[Item]],
    ) -> Iterator[Item]:
        """All items of any paged RPC of a stub on `channel`."""
        return self._iterate(self._client.items(method, request, items_of))

    def upload_file(
        self, path: Path, *, file_name: str | None = None, on_sent: Callable[[int], None] = lambda _sent: None
    ) -> str:
        return self._run(self._client.upload_file(path, file_name=file_name, on_sent=on_sent))

    def create_import(
        self,
        *,
        client_id: int,
        source: str,
        key: str,
        report_id: int = 0,
        file_name: str = "",
        asset_tags: Iterable[str] = (),
        finding_tags: Iterable[str] = (),
        use_parser_actions: bool = False,
        options: importer.ImportOptions | None = None,
        request_id: str | None = None,
    ) -> importer.Import:
        return self._run(
            self._client.create_import(
                client_id=client_id,
                source=source,
                key=key,
                report_id=report_id,
                file_name=file_name,
                asset_tags=asset_tags,
                finding_tags=finding_tags,
                use_parser_actions=use_parser_actions,
                options=options,
                request_id=request_id,
            )
        )

    def create_client(self, name: str, *, description: str = "") -> int:
        return self._run(self._client.create_client(name, description=description))

    def create_report(self, client_id: int, name: str, *, description: str = "") -> int:
        return self._run(self._client.create_report(client_id, name, description=description))

    def get_import(self, import_id: str) -> importer.Import:
        return self._run(self._client.get_import(import_id))

    def cancel_import(self, import_id: str) -> importer.Import:
        return self._run(self._client.cancel_import(import_id))

    def pause_import(self, import_id: str) -> importer.Import:
        return self._run(self._client.pause_import(import_id))

    def resume_import(self, import_id: str) -> importer.Import:
        return self._run(self._client.resume_import(import_id))

    def retry_import(self, import_id: str) -> importer.Import:
        return self._run(self._client.retry_import(import_id))

    def rerun_import(
        self, import_id: str, *, options: importer.ImportOptions | None = None, request_id: str | None = None
    ) -> importer.Import:
        return self._run(self._client.rerun_import(import_id, options=options, request_id=request_id))

    def undo_import(self, import_id: str, *, dry_run: bool = False) -> importer.Import:
        return self._run(self._client.undo_import(import_id, dry_run=dry_run))

    def watch(self, import_id: str, *, patience_seconds: float = 60.0) -> Iterator[importer.Import]:
        return self._iterate(self._client.watch(import_id, patience_seconds=patience_seconds))

    def wait(self, import_id: str, *, patience_seconds: float = 60.0) -> importer.Import:
        return self._run(self._client.wait(import_id, patience_seconds=patience_seconds))

    def imports(self) -> Iterator[importer.Import]:
        return self._iterate(self._client.imports())

    def row_errors(self, import_id: str) -> Iterator[status.RowError]:
        return self._iterate(self._client.row_errors(import_id))

    def sources(self) -> list[importer.Source]:
        return self._run(self._client.sources())

    def clients(self) -> Iterator[status.Client]:
        return self._iterate(self._client.clients())

    def reports(self, client_id: int) -> Iterator[status.Report]:
        return self._iterate(self._client.reports(client_id))

    def findings(self, client_id: int, report_id: int) -> Iterator[status.Finding]:
        return self._iterate(self._client.findings(client_id, report_id))

    def assets(self, client_id: int, report_id: int = 0) -> Iterator[status.Asset]:
        return self._iterate(self._client.assets(client_id, report_id))

    def tags(self) -> Iterator[status.Tag]:
        return self._iterate(self._client.tags())
