"""`hythe appfile schemas`: what a workspace asks of its sync files beside their syntax."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from google.protobuf.json_format import Parse, ParseError

from cli.admin.messages import document_of, print_change, print_list
from cli.context import Cli, Json, cli_of
from cli.errors import CliError, ExitCode
from hythe.importer.v1 import schemas_pb2 as pb
from hythe.importer.v1.schemas_pb2_grpc import SchemaServiceStub
from hythe_client.files import regular_size

if TYPE_CHECKING:
    from hythe.importer.v1.schemas_pb2_grpc import SchemaServiceAsyncStub

MAX_FILE_BYTES = 1024 * 1024
PRESENCE_PREFIX = "COLUMN_PRESENCE_"

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What is asked of sync files beside their syntax: columns, vocabularies. Changes are for administrators.",
)

Workspace = Annotated[
    str, typer.Option(envvar="HYTHE_APPFILE_WORKSPACE", help="Id or name; else the oldest of the tenant.")
]
Entity = Annotated[str, typer.Argument(metavar="ENTITY", help="Entity type, as row 01 has it.")]
DataSource = Annotated[str, typer.Argument(metavar="DATASOURCE", help="Data source code, as row 01 has it.")]


@app.command("list")
def list_schemas(context: typer.Context, workspace: Workspace = "", _json: Json = False) -> None:
    """List the schemas that hold in a workspace: its own, and the published ones that it has not replaced."""
    cli = cli_of(context)
    request = pb.ListRecordSchemasRequest(workspace=workspace)
    found = list(cli.native.items(stub(cli).ListRecordSchemas, request, lambda page: page.schemas))
    rows = [
        (one.entity_type, one.data_source, "published" if one.published else "own", len(one.columns), required_of(one))
        for one in found
    ]
    print_list(cli.output, "schemas", found, ["Entity", "Data source", "From", "Columns ", "Required"], rows)


@app.command("show")
def show(
    context: typer.Context, entity: Entity, data_source: DataSource, workspace: Workspace = "", _json: Json = False
) -> None:
    """Show the columns of one kind of record. With --json, as `put` takes it."""
    cli = cli_of(context)
    request = pb.GetRecordSchemaRequest(workspace=workspace, entity_type=entity, data_source=data_source)
    found = cli.native.call(stub(cli).GetRecordSchema, request).schema
    if cli.output.json_mode:
        cli.output.document(document_of(found))
    rows = [(one.code, one.type, presence_of(one), ", ".join(one.values)) for one in found.columns]
    cli.output.table(["Code", "Type", "Must have", "Values"], rows)


@app.command("put")
def put(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="JSON, as `show` prints.")],
    workspace: Workspace = "",
    _json: Json = False,
) -> None:
    """Put a schema into a workspace, in place of the one of the same pair. It holds for imports from now on."""
    cli = cli_of(context)
    request = pb.PutRecordSchemaRequest(workspace=workspace, schema=read_schema(file))
    made = cli.native.call(stub(cli).PutRecordSchema, request)
    schema = made.schema
    told = f"{schema.entity_type} of {schema.data_source} has {len(schema.columns)} columns."
    print_change(cli.output, made, told)


@app.command("delete")
def delete(
    context: typer.Context, entity: Entity, data_source: DataSource, workspace: Workspace = "", _json: Json = False
) -> None:
    """Take a schema of the workspace away. Where one is published, that holds again."""
    cli = cli_of(context)
    request = pb.DeleteRecordSchemaRequest(workspace=workspace, entity_type=entity, data_source=data_source)
    gone = cli.native.call(stub(cli).DeleteRecordSchema, request)
    print_change(cli.output, gone, f"The workspace has no schema of its own for {entity} of {data_source} any more.")


def read_schema(file: Path) -> pb.RecordSchema:
    """Of a JSON object with the members of the message; times and `published` are the server's."""
    if regular_size(file) > MAX_FILE_BYTES:
        raise CliError(f"{file} is larger than any schema.", ExitCode.USAGE)
    try:
        schema: pb.RecordSchema = Parse(file.read_text(encoding="utf-8-sig"), pb.RecordSchema())
    except (ParseError, ValueError) as error:
        raise CliError(f"{file} is no schema: {error}", ExitCode.USAGE) from error
    return schema


def stub(cli: Cli) -> SchemaServiceAsyncStub:
    return SchemaServiceStub(cli.native.channel)


def presence_of(column: pb.RecordColumn) -> str:
    """`column`, `value`, or nothing for what may be missing."""
    word = pb.ColumnPresence.Name(column.presence).removeprefix(PRESENCE_PREFIX).lower()
    return "" if word in {"unspecified", "optional"} else word


def required_of(schema: pb.RecordSchema) -> str:
    return ", ".join(one.code for one in schema.columns if presence_of(one))
