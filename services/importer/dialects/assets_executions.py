"""The Assets API's calls about runs of import sources and their schedules."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import grpc
from google.protobuf.struct_pb2 import Struct

from dialects.assets.data_body import DataBody
from dialects.assets.executions import (
    StartBody,
    execution_json,
    failure_reason,
    flag,
    start_body,
    started_json,
    told_progress,
)
from dialects.assets.links import Links
from dialects.assets.schedules import ScheduleBody, schedule_body, schedule_json, schedule_links_json
from hythe.dialects.assets.v1 import assets_pb2
from runtime.auth import current_principal
from runtime.errors import InvalidArgument
from services.importer.assets.chunks import Chunks
from services.importer.assets.executions import Executions
from services.importer.assets.runs import Execution, StartOptions
from services.importer.assets.schedules import Schedules, Timetable
from services.importer.dialects.answers import NO_CONTENT, struct
from services.importer.dialects.assets_requests import payload_of, place_of

Context = grpc.aio.ServicerContext[Any, Any]


class AssetsExecutions:
    """Converts, calls, converts back. A part of `AssetsImporter`."""

    def __init__(self, executions: Executions, chunks: Chunks, schedules: Schedules, links: Links) -> None:
        self._executions = executions
        self._chunks = chunks
        self._schedules = schedules
        self._links = links

    async def GetImportsInfo(self, request: assets_pb2.ImportsInfoRequest, context: Context) -> Struct:
        source = await self._executions.own_source(current_principal())
        return struct({"links": self._links.of_source(source.workspace_id, source.import_source_id)})

    async def StartImport(self, request: assets_pb2.SourceRequest, context: Context) -> Struct:
        found = await self._start(request)
        run = found.run
        return struct(started_json(run, found.source.type, self._links, dry_run=run.options.dry_run))

    async def StartExecution(self, request: assets_pb2.SourceRequest, context: Context) -> Struct:
        return self._told(await self._start(request))

    async def CancelExecution(self, request: assets_pb2.ExecutionRequest, context: Context) -> Struct:
        await self._executions.cancel(current_principal(), place_of(request), request.execution_id)
        return Struct()

    async def SubmitData(self, request_iterator: AsyncIterable[assets_pb2.DataChunk], context: Context) -> Struct:
        first, content = await open_stream(request_iterator)
        principal, place = current_principal(), place_of(first)
        await self._chunks.submit(principal, place, first.execution_id, DataBody(), content)
        return Struct()

    async def PutProgress(self, request: assets_pb2.ExecutionRequest, context: Context) -> Struct:
        told = told_progress(payload_of(request))
        await self._executions.tell_progress(current_principal(), place_of(request), request.execution_id, told)
        return Struct()

    async def FailExecution(self, request: assets_pb2.ExecutionRequest, context: Context) -> Struct:
        reason = failure_reason(payload_of(request))
        await self._executions.fail(current_principal(), place_of(request), request.execution_id, reason)
        await context.send_initial_metadata(NO_CONTENT)
        return Struct()

    async def PauseExecution(self, request: assets_pb2.ExecutionRequest, context: Context) -> Struct:
        return self._told(await self._executions.pause(current_principal(), place_of(request), request.execution_id))

    async def ResumeExecution(self, request: assets_pb2.ExecutionRequest, context: Context) -> Struct:
        return self._told(await self._executions.resume(current_principal(), place_of(request), request.execution_id))

    async def RollbackExecution(self, request: assets_pb2.ExecutionRequest, context: Context) -> Struct:
        principal, place = current_principal(), place_of(request)
        dry_run = flag(payload_of(request), "dryRun")
        return self._told(await self._executions.roll_back(principal, place, request.execution_id, dry_run=dry_run))

    async def GetSchedules(self, request: assets_pb2.SourceRequest, context: Context) -> Struct:
        source, schedule = await self._schedules.of_source(current_principal(), place_of(request))
        found = None if schedule is None else schedule.schedule_id
        return struct(schedule_links_json(self._links, source.workspace_id, source.import_source_id, found))

    async def CreateSchedule(self, request: assets_pb2.SourceRequest, context: Context) -> Struct:
        said = timetable(schedule_body(payload_of(request)))
        return struct(schedule_json(await self._schedules.create(current_principal(), place_of(request), said)))

    async def GetSchedule(self, request: assets_pb2.ScheduleRequest, context: Context) -> Struct:
        found = await self._schedules.find(current_principal(), place_of(request), request.schedule_id)
        return struct(schedule_json(found))

    async def UpdateSchedule(self, request: assets_pb2.ScheduleRequest, context: Context) -> Struct:
        principal, place = current_principal(), place_of(request)
        said = timetable(schedule_body(payload_of(request)))
        return struct(schedule_json(await self._schedules.update(principal, place, request.schedule_id, said)))

    async def DeleteSchedule(self, request: assets_pb2.ScheduleRequest, context: Context) -> Struct:
        await self._schedules.delete(current_principal(), place_of(request), request.schedule_id)
        return Struct()

    async def _start(self, request: assets_pb2.SourceRequest) -> Execution:
        options = start_options(start_body(payload_of(request)))
        return await self._executions.start(current_principal(), place_of(request), options)

    def _told(self, found: Execution) -> Struct:
        run = found.run
        return struct(execution_json(run, found.source.type, self._links, dry_run=run.options.dry_run))


def start_options(body: StartBody) -> StartOptions:
    return StartOptions(dry_run=body.dry_run, force=body.force, queue=body.queue, is_scheduled=body.is_scheduled)


def timetable(body: ScheduleBody) -> Timetable:
    return Timetable(body.frequency, body.start_at, body.timezone, body.cron, body.callback_url, body.is_active)


async def open_stream(
    messages: AsyncIterable[assets_pb2.DataChunk],
) -> tuple[assets_pb2.DataChunk, AsyncIterator[bytes]]:
    """The first message, and the bytes of the body from its beginning."""
    stream = aiter(messages)
    first = await anext(stream, None)
    if first is None:
        raise InvalidArgument("INVALID_JSON", "The request has no body.")
    return first, _contents(first, stream)


async def _contents(first: assets_pb2.DataChunk, rest: AsyncIterator[assets_pb2.DataChunk]) -> AsyncIterator[bytes]:
    yield first.content.data
    async for message in rest:
        yield message.content.data
