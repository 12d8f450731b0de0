"""`hythe admin imports` and `hythe admin requeue`: the imports of everybody in the tenant."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from cli.admin.messages import moment, print_change, print_list
from cli.context import Json, cli_of
from cli.output import size
from hythe.importer.v1 import importer_pb2 as importer
from hythe.importer.v1.importer_pb2_grpc import ImportServiceStub
from hythe.status.v1 import status_pb2 as status
from hythe.status.v1.status_pb2_grpc import StatusServiceStub
from hythe_client.client import import_of

PAGE_SIZE = 1_000


class StateName(StrEnum):
    OPEN = "open"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def number(self) -> importer.State.ValueType:
        return importer.State.Value(f"STATE_{self.upper()}")


def list_imports(
    context: typer.Context,
    state: Annotated[list[StateName] | None, typer.Option(help="Only this state; may be repeated.")] = None,
    stuck: Annotated[
        bool,
        typer.Option("--stuck", help="Only running ones that lost their worker, and queued ones that none takes."),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    _json: Json = False,
) -> None:
    """List the imports of everybody in the tenant."""
    cli = cli_of(context)
    stub = StatusServiceStub(cli.native.channel)
    request = status.ListTenantImportsRequest(
        page_size=min(limit, PAGE_SIZE), states=[one.number for one in state or []], stuck_only=stuck
    )
    found = list(islice(cli.native.items(stub.ListTenantImports, request, lambda page: page.imports), limit))
    rows = [
        (one.import_id, one.user_email, one.file_name, size(one.file_size_bytes), one.source, state_name(one),
         one.progress, one.phase, one.attempt, moment(one.create_time), one.error_code)
        for one in found
    ]  # fmt: skip
    columns = ["ID", "User", "File", "Size ", "Source", "State", "% ", "Phase", "Attempt ", "Made", "Reason"]
    print_list(cli.output, "imports", found, columns, rows)


def requeue(
    context: typer.Context,
    import_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the import.")],
    _json: Json = False,
) -> None:
    """Send an unfinished import to the workers again."""
    cli = cli_of(context)
    stub = ImportServiceStub(cli.native.channel)
    answer = cli.native.call(stub.RequeueImport, importer.RequeueImportRequest(import_id=import_id))
    print_change(
        cli.output, answer, f"{import_id} is sent to the workers again; it is {state_name(import_of(answer))}."
    )


def state_name(one: importer.Import) -> str:
    return importer.State.Name(one.state).removeprefix("STATE_")
