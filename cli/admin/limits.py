"""`hythe admin limits`: what a tenant may use at most, for operators."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.admin.messages import print_change
from cli.context import Json, cli_of
from cli.output import size
from hythe.importer.v1 import importer_pb2 as importer
from hythe.importer.v1.importer_pb2_grpc import ImportServiceStub


def set_limits(
    context: typer.Context,
    tenant_id: Annotated[int, typer.Argument(metavar="TENANT", help="Id of the tenant.")],
    max_file_bytes: Annotated[int, typer.Option(min=0, help="Largest file; 0: as the installation has it.")],
    max_running_imports: Annotated[
        int, typer.Option(min=0, help="Imports that run at the same time; 0: as the installation has it.")
    ],
    _json: Json = False,
) -> None:
    """Set the limits of a tenant, both at once."""
    cli = cli_of(context)
    stub = ImportServiceStub(cli.native.channel)
    limits = importer.Limits(max_file_bytes=max_file_bytes, max_running_imports=max_running_imports)
    answer = cli.native.call(stub.SetLimits, importer.SetLimitsRequest(tenant_id=tenant_id, limits=limits))
    largest = size(answer.limits.max_file_bytes) if answer.limits.max_file_bytes else "the installation's"
    running = answer.limits.max_running_imports or "the installation's"
    print_change(cli.output, answer, f"Tenant {tenant_id}: largest file {largest}, running imports {running}.")
