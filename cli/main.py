"""The `hythe` command: what it can do, each command as thin as its options allow."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from cli import appfile, control, imports, parser_actions, rejections, sync_files, tools, upload
from cli.admin import commands as admin
from cli.choices import (
    Choices,
    DryRun,
    ExpectRecords,
    Force,
    MaxErrorPercent,
    MaxErrors,
    OnErrorOption,
    ParserActions,
    Sha256,
)
from cli.context import Cli, Json, cli_of
from cli.engagements import resolve_client
from cli.errors import CliError, of_native
from cli.imports import Order
from cli.output import Output, size
from cli.remarks import state_of
from cli.session import new_login
from cli.settings import DEFAULT_URL, origin
from hythe_client import HytheError


class Commands(TyperGroup):
    """Ends every failed command with one line, or with one JSON object after --json."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override] # typer's public name of its context
        try:
            return super().invoke(ctx)
        except (CliError, HytheError) as error:
            known = of_native(error) if isinstance(error, HytheError) else error
            cli = ctx.find_object(Cli)
            (cli.output if cli else Output()).error(known)
            raise typer.Exit(known.exit_code) from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Land scan files, import them in the background, watch it happen.",
    epilog="Exit codes: 0 succeeded, 1 failed or cancelled, 2 wrong usage, 3 not reachable or not allowed.",
)
app.add_typer(admin.app, name="admin")
app.add_typer(appfile.app, name="appfile")
app.add_typer(sync_files.app, name="cc5")
app.add_typer(parser_actions.app, name="parser-actions")

PartSize = Annotated[
    int | None,
    typer.Option(
        min=5, max=5_120, show_default=False, help="MiB of each part of a large file; else as the server thinks best."
    ),
]
ImportId = Annotated[str, typer.Argument(metavar="ID", help="Id of the import.")]


def show_version(asked: bool) -> None:
    if asked:
        typer.echo(version("hythe"))
        raise typer.Exit


@app.callback()
def prepare(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    # A test hands in a context of its own.
    context.obj = context.obj or Cli()
    context.with_resource(context.obj)


@app.command()
def login(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Address of the gateway; else HYTHE_URL.")] = "",
    user: Annotated[str, typer.Option(help="User name; else HYTHE_USER, else asked for.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
    ] = False,
) -> None:
    """Log in and keep a token, which is renewed while it is used and ends 15 minutes after the last command.

    The password comes from --password-stdin, else from HYTHE_PASSWORD, else it is asked for.
    """
    cli = cli_of(context)
    where = origin(url or cli.settings.url or typer.prompt("Gateway", default=DEFAULT_URL, err=True))
    who = user or cli.settings.user or typer.prompt("User", err=True)
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        given = cli.settings.password.get_secret_value()
        password = given or typer.prompt("Password", hide_input=True, err=True)
    token = cli.anonymous(where).authenticate(who, password).token
    cli.logins.put(new_login(where, who, token))
    cli.output.line(f"Logged in at {where} as {who}.")
    if cli.settings.api_key.get_secret_value():
        cli.output.hint("HYTHE_API_KEY is set and goes before this login.")


@app.command()
def logout(context: typer.Context) -> None:
    """Forget all logins. Their tokens end by themselves within 15 minutes."""
    cli = cli_of(context)
    cli.tokens.remove()
    cli.output.line(f"Forgot {cli.logins.remove()} logins.")


@app.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A regular file.")],
    client: Annotated[str, typer.Option(help="Id or name of the client.")],
    source: Annotated[
        str, typer.Option(help="Which tool wrote it; see `hythe sources`. Without it the file itself tells.")
    ] = "",
    report: Annotated[
        str, typer.Option(help="Id or name of the report; without one, only the client's assets are imported.")
    ] = "",
    create: Annotated[bool, typer.Option("--create", help="Make the client and the report when missing.")] = False,
    tag_assets: Annotated[list[str] | None, typer.Option(help="Tag for every asset; may be repeated.")] = None,
    tag_findings: Annotated[list[str] | None, typer.Option(help="Tag for every finding; may be repeated.")] = None,
    part_size: PartSize = None,
    dry_run: DryRun = False,
    force: Force = False,
    on_error: OnErrorOption = None,
    max_errors: MaxErrors = None,
    max_error_percent: MaxErrorPercent = None,
    expect_records: ExpectRecords = None,
    sha256: Sha256 = "",
    use_parser_actions: ParserActions = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end of the import.")] = False,
    _json: Json = False,
) -> None:
    """Send a scan file and import it.

    A large file is sent in parts. After a break, also of this command, the same command goes on where it stopped.
    """
    cli = cli_of(context)
    if source:
        tools.check_source(cli, source)
    else:
        source = tools.detect_source(cli, file, into_report=bool(report))
    limits = (max_errors, max_error_percent, expect_records)
    said = Choices(dry_run, force, on_error, *limits, sha256, use_parser_actions).completed(file)
    tags = tag_assets or [], tag_findings or []
    order = Order(file, source, client, report, create, *tags, (part_size or 0) * upload.MIB, said)
    import_id = imports.start(cli, order)
    if no_wait:
        if cli.output.json_mode:
            cli.output.document(imports.document(cli.gateway.my_import(import_id)))
        cli.output.line(import_id)
        cli.output.hint(f"Queued. `hythe watch {import_id}` follows it.")
        return
    raise typer.Exit(imports.finish(cli, imports.watch(cli, import_id)))


@app.command("upload")
def upload_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A regular file.")],
    part_size: PartSize = None,
    _json: Json = False,
) -> None:
    """Send a file and print its key, for an import that is started by other means.

    A large file is sent in parts. After a break, also of this command, the same command goes on where it stopped.
    """
    cli = cli_of(context)
    with upload.sent(cli, file, (part_size or 0) * upload.MIB) as sent:
        if cli.output.json_mode:
            cli.output.document({"key": sent.key})
        cli.output.line(sent.key)


@app.command()
def watch(context: typer.Context, import_id: ImportId, _json: Json = False) -> None:
    """Follow an import to its end; exit code 1 when it fails or is cancelled."""
    cli = cli_of(context)
    raise typer.Exit(imports.finish(cli, imports.watch(cli, import_id)))


@app.command()
def cancel(context: typer.Context, import_id: ImportId, _json: Json = False) -> None:
    """Stop an import. Nothing of it is kept."""
    cli = cli_of(context)
    row = cli.gateway.cancel(import_id)
    if cli.output.json_mode:
        cli.output.document(imports.document(row))
    elif row.state == "CANCELLED":
        cli.output.line(f"Cancelled {import_id}.")
    else:
        cli.output.line(f"{import_id} is running and will stop at its next step.")


control.add_to(app)


@app.command("imports")
def list_imports(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    _json: Json = False,
) -> None:
    """List your imports."""
    cli = cli_of(context)
    rows = cli.gateway.my_imports(limit)
    if cli.output.json_mode:
        cli.output.document({"imports": [imports.document(row) for row in rows]})
    cli.output.table(
        ["ID", "File", "Size ", "Source", "Client", "Report", "State", "% ", "Reason"],
        [
            (row.id, row.name, size(int(row.file_size)), row.source, row.client_name, row.report_name,
             state_of(row), row.progress, row.error_status)
            for row in rows
        ],
    )  # fmt: skip


app.command()(rejections.errors)


@app.command()
def sources(context: typer.Context, _json: Json = False) -> None:
    """List the tools whose files can be imported."""
    cli = cli_of(context)
    found = cli.native.sources()
    if cli.output.json_mode:
        cli.output.document({"sources": [tools.document(one) for one in found]})
    rows = [
        (one.source, one.display_name, tools.brought(one), " ".join(one.extensions), ", ".join(one.formats))
        for one in found
    ]
    cli.output.table(["Source", "Tool", "Imports", "Files", "Formats"], rows)


@app.command()
def clients(context: typer.Context, _json: Json = False) -> None:
    """List the clients you may see."""
    cli = cli_of(context)
    rows = [row.data[:2] for row in cli.gateway.client_rows()]
    if cli.output.json_mode:
        cli.output.document({"clients": [{"id": row[0], "name": row[1]} for row in rows]})
    cli.output.table(["ID ", "Name"], rows)


@app.command()
def reports(
    context: typer.Context,
    client: Annotated[str, typer.Option(help="Id or name of the client.")],
    _json: Json = False,
) -> None:
    """List the reports of a client."""
    cli = cli_of(context)
    rows = cli.gateway.report_rows(resolve_client(cli.gateway, client).id)
    shown = [(row.data[0], row.data[1], row.data[3], row.data[4]) for row in rows]
    if cli.output.json_mode:
        names = ("id", "name", "status", "findings")
        cli.output.document({"reports": [dict(zip(names, row, strict=True)) for row in shown]})
    cli.output.table(["ID ", "Name", "Status", "Findings "], shown)


if __name__ == "__main__":
    app()
