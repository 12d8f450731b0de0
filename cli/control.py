"""`hythe pause`, `resume`, `retry`, `rerun` and `undo`: what can be done with an import that is there already."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer

from cli import imports
from cli.choices import (
    Choices,
    DryRun,
    ExpectRecords,
    MaxErrorPercent,
    MaxErrors,
    OnErrorOption,
    Sha256OfStored,
)
from cli.context import Cli, Json, cli_of
from cli.shapes import ImportRow

ImportId = Annotated[str, typer.Argument(metavar="ID", help="Id of the import.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")]


def pause(context: typer.Context, import_id: ImportId, _json: Json = False) -> None:
    """Stop an import for a while. What it has read is kept."""
    cli = cli_of(context)
    row = cli.gateway.command(import_id, "pause")
    told = f"Paused {row.id}." if row.state == "PAUSED" else f"{row.id} is running and will pause at its next step."
    tell(cli, row, told)
    cli.output.hint(f"`hythe resume {row.id}` lets it go on.")


def resume(context: typer.Context, import_id: ImportId, _json: Json = False) -> None:
    """Let a paused import go on from where it is."""
    cli = cli_of(context)
    row = cli.gateway.command(import_id, "resume")
    tell(cli, row, f"{row.id} goes on.")
    cli.output.hint(f"`hythe watch {row.id}` follows it.")


def retry(context: typer.Context, import_id: ImportId, no_wait: NoWait = False, _json: Json = False) -> None:
    """Try an import again that waits after an error, or that failed for a reason that may have passed.

    A failed one is continued, from where it was, by a new import.
    """
    cli = cli_of(context)
    row = cli.gateway.command(import_id, "retry")
    end(cli, row, wait=not no_wait)


def rerun(
    context: typer.Context,
    import_id: ImportId,
    dry_run: DryRun = False,
    on_error: OnErrorOption = None,
    max_errors: MaxErrors = None,
    max_error_percent: MaxErrorPercent = None,
    expect_records: ExpectRecords = None,
    sha256: Sha256OfStored = "",
    no_wait: NoWait = False,
    _json: Json = False,
) -> None:
    """Import the stored file of a finished import again, as the first time unless told otherwise."""
    cli = cli_of(context)
    said = Choices(
        dry_run=dry_run,
        on_error=on_error,
        max_errors=max_errors,
        max_error_percent=max_error_percent,
        expect_records=expect_records,
        sha256=sha256,
    )
    row = cli.gateway.command(import_id, "rerun", said.completed().members(), request_id=str(uuid.uuid4()))
    end(cli, row, wait=not no_wait)


def undo(
    context: typer.Context,
    import_id: ImportId,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    no_wait: NoWait = False,
    _json: Json = False,
) -> None:
    """Take an import back: remove what it brought, restore what it changed, except where that is needed since."""
    cli = cli_of(context)
    row = cli.gateway.command(import_id, "undo", {"dryRun": True} if dry_run else {})
    end(cli, row, wait=not no_wait)


def tell(cli: Cli, row: ImportRow, sentence: str) -> None:
    if cli.output.json_mode:
        cli.output.document(imports.document(row))
    cli.output.line(sentence)


def end(cli: Cli, row: ImportRow, *, wait: bool) -> None:
    """Follows what the command has made to its end, or tells its id."""
    if wait:
        raise typer.Exit(imports.finish(cli, imports.watch(cli, row.id)))
    tell(cli, row, row.id)
    cli.output.hint(f"Queued. `hythe watch {row.id}` follows it.")


def add_to(app: typer.Typer) -> None:
    for each in (pause, resume, retry, rerun, undo):
        app.command()(each)
