"""`hythe appfile`: sync files into records of a workspace."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import imports, schemas
from cli.choices import (
    Choices,
    DryRun,
    ExpectRecords,
    Force,
    MaxErrorPercent,
    MaxErrors,
    OnErrorOption,
    Sha256,
)
from cli.context import Cli, Json, cli_of
from cli.errors import CliError, ExitCode
from cli.kept_uploads import new_seed
from cli.progress import upload_bar
from hythe.importer.v1 import importer_pb2 as importer
from hythe.importer.v1.importer_pb2_grpc import ImportServiceStub
from hythe.upload.v1 import upload_pb2 as upload
from hythe.upload.v1.upload_pb2_grpc import UploadServiceStub
from hythe_client import put_file
from hythe_client.files import regular_size

if TYPE_CHECKING:
    from hythe.importer.v1.importer_pb2_grpc import ImportServiceAsyncStub
    from hythe.upload.v1.upload_pb2_grpc import UploadServiceAsyncStub

HEAD_BYTES = 64 * 1024
ENTITY_FIELD, DATA_SOURCE_FIELD = 1, 4
"""Of row 01."""

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Sync files (cc5) into records of a workspace.")
app.add_typer(schemas.app, name="schemas")


@dataclass(frozen=True)
class Order:
    """A file and where it belongs. Empty texts: as the server thinks best."""

    path: Path
    workspace: str = ""
    bucket: str = ""
    entity: str = ""
    folder: str = ""
    category: str = ""
    tags: list[str] = field(default_factory=list)
    keep_empty: bool = False
    require_footer: bool = True
    choices: Choices = field(default_factory=Choices)


@app.command("put")
def put(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A regular file.")],
    entity: Annotated[str, typer.Option(help="Entity type; must be the one in the file.")] = "",
    datasource: Annotated[str, typer.Option(help="Data source code; must be the one in the file.")] = "",
    workspace: Annotated[
        str, typer.Option(envvar="HYTHE_APPFILE_WORKSPACE", help="Id or name; else the oldest of the tenant.")
    ] = "",
    bucket: Annotated[str, typer.Option(envvar="HYTHE_APPFILE_BUCKET", help="Its bucket.")] = "",
    folder: Annotated[str, typer.Option(help="A word for people.")] = "",
    category: Annotated[str, typer.Option(help="A word for people.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="Tag of the file; may be repeated.")] = None,
    keep_empty: Annotated[
        bool, typer.Option("--keep-empty", help="An empty value leaves what the record has, instead of clearing it.")
    ] = False,
    no_footer: Annotated[bool, typer.Option("--no-footer", help="Take a file without a right row 99, too.")] = False,
    dry_run: DryRun = False,
    force: Force = False,
    on_error: OnErrorOption = None,
    max_errors: MaxErrors = None,
    max_error_percent: MaxErrorPercent = None,
    expect_records: ExpectRecords = None,
    sha256: Sha256 = "",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end of the import.")] = False,
    _json: Json = False,
) -> None:
    """Send a sync file and import it."""
    cli = cli_of(context)
    refuse_other_kind(file, entity, datasource)
    limits = (max_errors, max_error_percent, expect_records)
    said = Choices(dry_run, force, on_error, *limits, sha256).completed(file)
    order = Order(file, workspace, bucket, entity, folder, category, tag or [], keep_empty, not no_footer, said)
    import_id = start(cli, order)
    if no_wait:
        if cli.output.json_mode:
            cli.output.document(imports.document(cli.gateway.my_import(import_id)))
        cli.output.line(import_id)
        cli.output.hint(f"Queued. `hythe watch {import_id}` follows it.")
        return
    raise typer.Exit(imports.finish(cli, imports.watch(cli, import_id)))


def start(cli: Cli, order: Order) -> str:
    """Send the file and queue its import; gives the import's id."""
    size = regular_size(order.path)
    slot = cli.native.call(
        uploads(cli).CreateUpload,
        upload.CreateUploadRequest(
            file_name=order.path.name,
            size_bytes=size,
            record_file=upload.RecordFile(
                workspace=order.workspace,
                bucket_id=order.bucket,
                entity_type=order.entity,
                folder=order.folder,
                category=order.category,
                tags=order.tags,
            ),
        ),
    )
    try:
        with upload_bar(cli.output.bars, size, quiet=cli.output.json_mode) as on_sent:
            put_file(slot.url, order.path, on_sent=on_sent, verify=cli.trust, transport=cli.transport)
    except KeyboardInterrupt as interrupt:
        raise CliError("Interrupted while the file was sent; nothing is imported.", ExitCode.INTERRUPTED) from interrupt
    started = cli.native.call(
        import_service(cli).StartRecordsImport,
        importer.StartRecordsImportRequest(
            file_id=slot.upload.record_file.file_id,
            file_type="cc5",
            request_id=new_seed(),
            options=order.choices.message(),
            empty_values=importer.EMPTY_VALUES_KEEP if order.keep_empty else importer.EMPTY_VALUES_CLEAR,
            require_footer=order.require_footer,
        ),
    )
    return str(getattr(started, "import").import_id)


def refuse_other_kind(path: Path, entity: str, data_source: str) -> None:
    """A file that says it is of another kind is not sent. One without a row 01, in JSON say, is for the server."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES).decode("utf-8-sig", errors="replace")
    row = next((line.split("|") for line in head.splitlines() if line.startswith("01|")), [])
    for what, wanted, at in (
        ("entity type", entity, ENTITY_FIELD),
        ("data source", data_source, DATA_SOURCE_FIELD),
    ):
        found = row[at].strip() if len(row) > at else ""
        if wanted and found and found != wanted:
            raise CliError(f"The {what} in {path} is {found!r} and not {wanted!r}.", ExitCode.USAGE)


def uploads(cli: Cli) -> UploadServiceAsyncStub:
    return UploadServiceStub(cli.native.channel)


def import_service(cli: Cli) -> ImportServiceAsyncStub:
    return ImportServiceStub(cli.native.channel)
