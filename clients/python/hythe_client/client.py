"""The asyncio client: land a file, import it, follow the import, read what came out.

Everything is answered in the generated messages of `hythe.*.v1`. Each call has a deadline; reading calls and those that
may be repeated are tried three times while the server is unavailable. Every failure is a HytheError.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import grpc
from grpc import aio

from hythe.importer.v1 import importer_pb2 as importer
from hythe.importer.v1.importer_pb2_grpc import ImportServiceStub
from hythe.status.v1 import status_pb2 as status
from hythe.status.v1.status_pb2_grpc import StatusServiceStub
from hythe.upload.v1 import upload_pb2 as upload
from hythe.upload.v1.upload_pb2_grpc import UploadServiceStub
from hythe_client.connection import Connection, Credential, open_channel, verification
from hythe_client.errors import HytheError
from hythe_client.files import put_file, regular_size

TERMINAL_STATES = frozenset({importer.STATE_SUCCEEDED, importer.STATE_FAILED, importer.STATE_CANCELLED})

PAGE_SIZE = 1_000
# Findings carry their whole text, and a message holds at most 4 MiB.
FINDINGS_PAGE_SIZE = 100
# The server says something at least every 15 s, so this much silence means that nobody is there.
SILENCE_SECONDS = 40.0
LONGEST_PAUSE_SECONDS = 5.0


class PagedRequest(Protocol):
    page_token: str


class PagedResponse(Protocol):
    @property
    def next_page_token(self) -> str: ...


Paged = TypeVar("Paged", bound=PagedRequest)
Page = TypeVar("Page", bound=PagedResponse)
Item = TypeVar("Item")


class HytheClient:
    """Make it inside the event loop that uses it, and close it, or use it as `async with`.

    `address` is host:port of the gateway or of a service; exactly one of `api_key` and `token` is the credential. A
    token may be a function that gives one, asked before each call. `tls`: True for the system's authorities, a path for
    a PEM file of other ones.
    """

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
        credential = Credential(api_key=api_key, token=token)
        self.connection = Connection(
            channel or open_channel(address, tls),
            address=address,
            credential=credential,
            deadline_seconds=deadline_seconds,
        )
        self._verify = verification(tls)
        self._upload = UploadServiceStub(self.connection.channel)
        self._import = ImportServiceStub(self.connection.channel)
        self._status = StatusServiceStub(self.connection.channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self.connection.close()

    # ------------------------------------------------------------------------------------------------------ landing

    async def upload_file(
        self, path: Path, *, file_name: str | None = None, on_sent: Callable[[int], None] = lambda _sent: None
    ) -> str:
        """Send a regular file to the object store, of any size with flat memory, and give back its key.

        `on_sent` hears the bytes sent so far, in another thread.
        """
        request = upload.CreateUploadRequest(file_name=file_name or path.name, size_bytes=regular_size(path))
        reserved = await self.connection.call(self._upload.CreateUpload, request)
        abandoned = threading.Event()

        def report(sent: int) -> None:
            if abandoned.is_set():
                raise HytheError(grpc.StatusCode.CANCELLED, "CANCELLED", "The upload was given up.")
            on_sent(sent)

        try:
            await asyncio.to_thread(put_file, reserved.url, path, on_sent=report, verify=self._verify)
        finally:
            # A thread cannot be cancelled; this ends it at its next block.
            abandoned.set()
        return reserved.upload.key

    async def create_import(
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
        """Queue the import of an uploaded file; `report_id` is 0 for an import of client assets.

        `options`: dry run, force, what rejected items mean for the rest, and what the file must be. The same
        `request_id` gives the same import again; without one, only the repetitions of this call are safe.
        """
        request = importer.CreateImportRequest(
            client_id=client_id,
            report_id=report_id,
            source=source,
            key=key,
            file_name=file_name,
            asset_tags=asset_tags,
            finding_tags=finding_tags,
            use_parser_actions=use_parser_actions,
            options=options,
            request_id=request_id or str(uuid.uuid4()),
        )
        return import_of(await self.connection.call(self._import.CreateImport, request))

    async def create_client(self, name: str, *, description: str = "") -> int:
        request = importer.CreateClientRequest(name=name, description=description)
        return (await self.connection.call(self._import.CreateClient, request)).client_id

    async def create_report(self, client_id: int, name: str, *, description: str = "") -> int:
        request = importer.CreateReportRequest(client_id=client_id, name=name, description=description)
        return (await self.connection.call(self._import.CreateReport, request)).report_id

    # ---------------------------------------------------------------------------------------------------- following

    async def get_import(self, import_id: str) -> importer.Import:
        request = status.GetImportRequest(import_id=import_id)
        return import_of(await self.connection.call(self._status.GetImport, request))

    async def cancel_import(self, import_id: str) -> importer.Import:
        """Ask an import to stop. A running one stops at its next chunk: follow it by `wait`."""
        request = importer.CancelImportRequest(import_id=import_id)
        return import_of(await self.connection.call(self._import.CancelImport, request))

    async def pause_import(self, import_id: str) -> importer.Import:
        """Stop an import so that it can go on later: a queued one at once, a running one at its next chunk."""
        request = importer.PauseImportRequest(import_id=import_id)
        return import_of(await self.connection.call(self._import.PauseImport, request))

    async def resume_import(self, import_id: str) -> importer.Import:
        """Let a paused import go on from where it is."""
        request = importer.ResumeImportRequest(import_id=import_id)
        return import_of(await self.connection.call(self._import.ResumeImport, request))

    async def retry_import(self, import_id: str) -> importer.Import:
        """Try again what did not work: the same import, or a new one that continues a failed one."""
        request = importer.RetryImportRequest(import_id=import_id)
        return import_of(await self.connection.call(self._import.RetryImport, request))

    async def rerun_import(
        self, import_id: str, *, options: importer.ImportOptions | None = None, request_id: str | None = None
    ) -> importer.Import:
        """Import the stored file of a finished import again, as a new import; `options` None: as the first time."""
        request = importer.RerunImportRequest(
            import_id=import_id, options=options, request_id=request_id or str(uuid.uuid4())
        )
        return import_of(await self.connection.call(self._import.RerunImport, request))

    async def undo_import(self, import_id: str, *, dry_run: bool = False) -> importer.Import:
        """Take a succeeded import back. Follow the import that is answered by `wait`; its `undo` says what was done."""
        request = importer.UndoImportRequest(import_id=import_id, dry_run=dry_run)
        return import_of(await self.connection.call(self._import.UndoImport, request))

    async def watch(self, import_id: str, *, patience_seconds: float = 60.0) -> AsyncIterator[importer.Import]:
        """The import now and at each change, to its terminal state.

        A server that is restarted meanwhile is asked again, until it was away for `patience_seconds`.
        """
        loop = asyncio.get_running_loop()
        heard, pause = loop.time(), 0.2
        while True:
            try:
                request = status.WatchImportRequest(import_id=import_id)
                messages = self.connection.stream(self._status.WatchImport, request, silence_seconds=SILENCE_SECONDS)
                async with aclosing(messages):
                    async for message in messages:
                        heard, pause = loop.time(), 0.2
                        current = import_of(message)
                        yield current
                        if current.state in TERMINAL_STATES:
                            return
            except HytheError as error:
                if error.code is not grpc.StatusCode.UNAVAILABLE or loop.time() - heard > patience_seconds:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def wait(self, import_id: str, *, patience_seconds: float = 60.0) -> importer.Import:
        """The import in its terminal state, also when that is FAILED or CANCELLED. Bound it by `asyncio.timeout`."""
        async for current in self.watch(import_id, patience_seconds=patience_seconds):
            latest = current
        return latest

    def imports(self) -> AsyncIterator[importer.Import]:
        """The caller's own imports, newest first."""
        request = status.ListImportsRequest(page_size=PAGE_SIZE)
        return self.items(self._status.ListImports, request, lambda page: page.imports)

    def row_errors(self, import_id: str) -> AsyncIterator[status.RowError]:
        """Rejected items in the order of the file; the server keeps the first 1,000."""
        request = status.ListRowErrorsRequest(import_id=import_id, page_size=PAGE_SIZE)
        return self.items(self._status.ListRowErrors, request, lambda page: page.errors)

    # ------------------------------------------------------------------------------------------------------ reading

    async def sources(self) -> list[importer.Source]:
        """The values that `source` may have."""
        return list((await self.connection.call(self._import.ListSources, importer.ListSourcesRequest())).sources)

    def clients(self) -> AsyncIterator[status.Client]:
        request = status.ListClientsRequest(page_size=PAGE_SIZE)
        return self.items(self._status.ListClients, request, lambda page: page.clients)

    def reports(self, client_id: int) -> AsyncIterator[status.Report]:
        request = status.ListReportsRequest(client_id=client_id, page_size=PAGE_SIZE)
        return self.items(self._status.ListReports, request, lambda page: page.reports)

    def findings(self, client_id: int, report_id: int) -> AsyncIterator[status.Finding]:
        request = status.ListFindingsRequest(client_id=client_id, report_id=report_id, page_size=FINDINGS_PAGE_SIZE)
        return self.items(self._status.ListFindings, request, lambda page: page.findings)

    def assets(self, client_id: int, report_id: int = 0) -> AsyncIterator[status.Asset]:
        """The assets of a report, or of the whole client."""
        request = status.ListAssetsRequest(client_id=client_id, report_id=report_id, page_size=PAGE_SIZE)
        return self.items(self._status.ListAssets, request, lambda page: page.assets)

    def tags(self) -> AsyncIterator[status.Tag]:
        """The tenant's tags in their order."""
        return self.items(self._status.ListTags, status.ListTagsRequest(page_size=PAGE_SIZE), lambda page: page.tags)

    async def items(
        self,
        method: aio.UnaryUnaryMultiCallable[Paged, Page],
        request: Paged,
        items_of: Callable[[Page], Iterable[Item]],
    ) -> AsyncIterator[Item]:
        """All items of any paged RPC; the next page is asked for when the one before is used up."""
        while True:
            page = await self.connection.call(method, request)
            for item in items_of(page):
                yield item
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


def import_of(message: Any) -> importer.Import:
    """The field `import` of an answer, whose name Python does not let us write."""
    found: importer.Import = getattr(message, "import")
    return found
