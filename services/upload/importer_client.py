"""Creating an import and waiting for it, by the services that do this, with the caller's own credential."""

from __future__ import annotations

import asyncio

import grpc
import structlog

from hythe.importer.v1 import importer_pb2, parser_actions_pb2
from hythe.importer.v1.importer_pb2_grpc import ImportServiceStub
from hythe.importer.v1.parser_actions_pb2_grpc import ParserActionServiceStub
from hythe.status.v1 import status_pb2
from hythe.status.v1.status_pb2_grpc import StatusServiceStub
from runtime.auth import current_request
from runtime.channels import call_metadata
from runtime.wire import from_rpc_error
from services.upload.batches import BatchCommand
from services.upload.file_imports import ImportCommand, LearnCommand

CREATE_SECONDS = 20
RETRY_SECONDS = 1
TERMINAL = frozenset({importer_pb2.STATE_SUCCEEDED, importer_pb2.STATE_FAILED, importer_pb2.STATE_CANCELLED})

log = structlog.get_logger(__name__)


class ImporterClient:
    """The import service to write, the status service to watch."""

    def __init__(self, importer: grpc.aio.Channel, status: grpc.aio.Channel) -> None:
        self._importer = ImportServiceStub(importer)
        self._actions = ParserActionServiceStub(importer)
        self._status = StatusServiceStub(status)

    async def create(self, command: ImportCommand) -> importer_pb2.Import:
        """Raises what the import service answers, as if it were said here."""
        request = importer_pb2.CreateImportRequest(
            client_id=command.target.client_id,
            report_id=command.target.report_id or 0,
            source=command.target.source,
            key=command.key,
            file_name=command.file_name,
            asset_tags=command.options.asset_tags,
            finding_tags=command.options.finding_tags,
            use_parser_actions=command.options.use_parser_actions,
            request_id=command.request_id,
        )
        try:
            reply = await self._importer.CreateImport(request, timeout=CREATE_SECONDS, metadata=call_metadata())
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "importer") from error
        return getattr(reply, "import")  # type: ignore[no-any-return]

    async def start_records(self, command: BatchCommand) -> importer_pb2.Import:
        """The same for a file of records."""
        said = command.options
        request = importer_pb2.StartRecordsImportRequest(
            file_id=command.file_id,
            file_type=command.file_type,
            request_id=command.request_id,
            options=importer_pb2.ImportOptions(
                dry_run=said.dry_run,
                force=said.force,
                policy=importer_pb2.Policy(
                    on_error=importer_pb2.OnError.Value(f"ON_ERROR_{said.on_error.upper()}"),
                    max_errors=said.max_errors,
                    max_error_percent=said.max_error_percent,
                ),
                expected_sha256=said.sha256,
                expected_records=said.expected_records,
            ),
            empty_values=importer_pb2.EMPTY_VALUES_KEEP if said.keeps_empty else importer_pb2.EMPTY_VALUES_CLEAR,
            require_footer=said.requires_footer,
        )
        try:
            reply = await self._importer.StartRecordsImport(request, timeout=CREATE_SECONDS, metadata=call_metadata())
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "importer") from error
        return getattr(reply, "import")  # type: ignore[no-any-return]

    async def learn(self, command: LearnCommand) -> importer_pb2.Import:
        """The same for a file from which parser actions are learned."""
        request = parser_actions_pb2.LearnParserActionsRequest(
            source=command.source, key=command.key, file_name=command.file_name, request_id=command.request_id
        )
        try:
            reply = await self._actions.LearnParserActions(request, timeout=CREATE_SECONDS, metadata=call_metadata())
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "importer") from error
        return getattr(reply, "import")  # type: ignore[no-any-return]

    async def wait(self, imported: importer_pb2.Import, seconds: float) -> importer_pb2.Import:
        """The import in its terminal state, or as it is when the time is over.

        It has been accepted, so a status service that does not answer is no error.
        """
        stopping = asyncio.ensure_future(current_request().stopping.wait())
        watching = asyncio.ensure_future(self._watch(imported, seconds))
        try:
            await asyncio.wait({stopping, watching}, return_when=asyncio.FIRST_COMPLETED)
            return watching.result() if watching.done() else imported
        finally:
            stopping.cancel()
            watching.cancel()

    async def _watch(self, imported: importer_pb2.Import, seconds: float) -> importer_pb2.Import:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        request = status_pb2.WatchImportRequest(import_id=imported.import_id)
        while imported.state not in TERMINAL and (left := end - loop.time()) > 0:
            try:
                updates = self._status.WatchImport(request, timeout=left, metadata=call_metadata())
                async for update in updates:
                    imported = getattr(update, "import")
            except grpc.aio.AioRpcError as error:
                log.info("import not watched", import_id=imported.import_id, code=error.code().name)
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    break
            if imported.state not in TERMINAL:
                await asyncio.sleep(min(RETRY_SECONDS, max(end - loop.time(), 0)))
        return imported
