"""`hythe cc5`: sync files on this machine, without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.context import Json, cli_of
from cli.errors import CliError, ExitCode

SHOWN = 50

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Check and make cc5 sync files on this machine, without a server."
)

Shown = Annotated[int, typer.Option("--show", min=0, help="How many places are listed; all are counted.")]


@app.command("lint")
def lint_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A cc5 file, or its JSON form.")],
    show: Shown = SHOWN,
    schemas: Annotated[
        bool, typer.Option("--schemas/--no-schemas", help="Ask for what the published schema of the file asks for.")
    ] = True,
    footer: Annotated[
        bool, typer.Option("--footer/--no-footer", help="Refuse a file without a footer, or with a wrong one.")
    ] = True,
    _json: Json = False,
) -> None:
    """Check a file as its import would: with the same code.

    Keys that come several times are listed with the lines of their first and last row, which is the one that counts;
    they are no error. A workspace may have schemas of its own, which are not known here. The exit status is 0 for a
    file of which every row can be used, else 1.
    """
    from cli import sync_lint  # noqa: PLC0415  (all formats come with it, which no other command needs)

    cli = cli_of(context)
    findings = sync_lint.lint(file, shown=show, with_schemas=schemas, require_footer=footer)
    sync_lint.show(cli.output, file, findings)
    raise typer.Exit(findings.exit_code)


@app.command("from-csv")
def from_csv(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table whose first row names the columns.")],
    entity: Annotated[str, typer.Option("--entity", help="Entity type, such as wks_family.")],
    datasource: Annotated[str, typer.Option("--datasource", help="Code of the data source, such as cc-family.")],
    key: Annotated[list[str], typer.Option("--key", help="Column of the primary key; several make one key.")],
    out: Annotated[Path | None, typer.Option("--out", help="Where to write; else beside FILE as .cc5txt.")] = None,
    type_: Annotated[
        list[str] | None, typer.Option("--type", metavar="COLUMN=TYPE", help="Type of a column that is no string.")
    ] = None,
    workspace: Annotated[str, typer.Option(envvar="HYTHE_APPFILE_WORKSPACE", help="Workspace of row 01.")] = "",
    bucket: Annotated[str, typer.Option(envvar="HYTHE_APPFILE_BUCKET", help="Bucket of row 01.")] = "",
    customer: Annotated[str, typer.Option(help="Customer code of row 00.")] = "",
    reference: Annotated[str, typer.Option(help="Reference of row 00, by which the import can be found.")] = "",
    delimiter: Annotated[str, typer.Option(help="What stands between cells.")] = ",",
    encoding: Annotated[str, typer.Option(help="Of the table.")] = "utf-8-sig",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    show: Shown = SHOWN,
    _json: Json = False,
) -> None:
    """Make a sync file of a table, and check it as `hythe cc5 lint` does.

    A cell that has #/#, #Enter# or half a line end in it does not come back as it was; such cells are listed.
    """
    from cli import sync_lint, sync_writing  # noqa: PLC0415  (as above)

    cli = cli_of(context)
    target = out or file.with_suffix(".cc5txt")
    if target.exists() and (not force or target.samefile(file)):
        raise CliError(f"{target} is there already.", ExitCode.USAGE)
    if len(delimiter) != 1:
        raise CliError("--delimiter is one character.", ExitCode.USAGE)
    sheet = sync_writing.Sheet(
        entity=entity,
        data_source=datasource,
        keys=key,
        workspace=workspace,
        bucket=bucket,
        customer=customer,
        reference=reference,
        create_time=f"{datetime.now(UTC):%Y%m%d%H%M%S}",
        types=_types(type_ or []),
        delimiter=delimiter,
        encoding=encoding,
    )
    written = sync_writing.write(file, target, sheet, shown=show)
    for line, column in written.places:
        cli.output.hint(
            f"Line {line}, {column}: the cell does not come back as it was (#/#, #Enter#, or half a line end)."
        )
    findings = sync_lint.lint(target, shown=show)
    if cli.output.json_mode:
        places = [{"line": line, "column": column} for line, column in written.places]
        more = {"rows": written.rows, "unwritable": written.unwritable, "unwritable_cells": places}
        cli.output.document({**sync_lint.document(target, findings), **more})
    else:
        cli.output.line(f"Wrote {written.rows} rows to {target}.")
        sync_lint.show(cli.output, target, findings)
    raise typer.Exit(findings.exit_code)


def _types(given: list[str]) -> dict[str, str]:
    types = {}
    for each in given:
        column, sign, type_ = each.rpartition("=")
        if not sign or not column or not type_:
            raise CliError(f"--type is COLUMN=TYPE, not {each!r}.", ExitCode.USAGE)
        types[column] = type_
    return types
