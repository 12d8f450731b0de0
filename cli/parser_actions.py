"""`hythe parser-actions`: what the tenant wants done with findings of a scanner when they are imported."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import imports, upload
from cli.admin.messages import print_change, print_list
from cli.context import Cli, Json, cli_of
from hythe.importer.v1 import parser_actions_pb2 as pb
from hythe.importer.v1.parser_actions_pb2_grpc import ParserActionServiceStub
from hythe_client.files import regular_size

if TYPE_CHECKING:
    from hythe.importer.v1.parser_actions_pb2_grpc import ParserActionServiceAsyncStub

PAGE_SIZE = 1_000

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What is done with findings of a scanner when they are imported with --parser-actions.",
)


class Action(StrEnum):
    """The words of the command; PlexTrac calls them PASS_THROUGH, DEFAULT, LINK and IGNORE."""

    PASS = "pass"  # noqa: S105  (no password)
    SEVERITY = "severity"
    LINK = "link"
    IGNORE = "ignore"


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFORMATIONAL = "informational"


CODES = {
    Action.PASS: pb.ACTION_CODE_PASS_THROUGH,
    Action.SEVERITY: pb.ACTION_CODE_FORCE_SEVERITY,
    Action.LINK: pb.ACTION_CODE_LINK,
    Action.IGNORE: pb.ACTION_CODE_IGNORE,
}
WORDS = {code: word for word, code in CODES.items()}

Source = Annotated[str, typer.Argument(help="Which tool; see `hythe sources`.")]


@app.command("list")
def list_actions(
    context: typer.Context,
    source: Source,
    action: Annotated[Action | None, typer.Option(help="Only these.")] = None,
    query: Annotated[str, typer.Option(help="Only those with this in their title.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, by id.")] = 100,
    _json: Json = False,
) -> None:
    """List the actions of a tool."""
    cli = cli_of(context)
    request = pb.ListParserActionsRequest(
        source=source,
        action=CODES[action] if action else pb.ACTION_CODE_UNSPECIFIED,
        query=query,
        page_size=min(limit, PAGE_SIZE),
    )
    found = list(islice(cli.native.items(stub(cli).ListParserActions, request, lambda page: page.actions), limit))
    rows = [(one.action_id, effect_of(one), severity_of(one.original_severity), one.title) for one in found]
    print_list(cli.output, "actions", found, ["ID", "Action", "Of the scanner", "Title"], rows)


@app.command("set")
def set_action(
    context: typer.Context,
    source: Source,
    action_id: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids, as in the list.")],
    action: Annotated[Action, typer.Option(help="What is done with the finding.")],
    severity: Annotated[Severity | None, typer.Option(help="With --action severity: which one.")] = None,
    writeup: Annotated[int, typer.Option(min=0, help="With --action link: id of the writeup.")] = 0,
    _json: Json = False,
) -> None:
    """Change actions, all or none of those that are named."""
    cli = cli_of(context)
    updates = [
        pb.ParserActionUpdate(
            action_id=each,
            action=CODES[action],
            severity=pb.Severity.Value(f"SEVERITY_{severity.upper()}") if severity else pb.SEVERITY_UNSPECIFIED,
            writeup_id=writeup,
        )
        for each in action_id
    ]
    request = pb.UpdateParserActionsRequest(source=source, updates=updates)
    changed = cli.native.call(stub(cli).UpdateParserActions, request)
    print_change(cli.output, changed, f"Changed {changed.updated_count} of {len(updates)}; the others were so already.")


@app.command("upload")
def upload_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A regular file.")],
    source: Annotated[str, typer.Option(help="Which tool wrote it; see `hythe sources`.")],
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")] = False,
    _json: Json = False,
) -> None:
    """Add an action that changes nothing for each finding of a file that has none. Nothing else of it is imported."""
    cli = cli_of(context)
    regular_size(file)
    with upload.sent(cli, file) as sent:
        request = pb.LearnParserActionsRequest(
            source=source, key=sent.key, file_name=file.name, request_id=sent.request_id("parser-actions", source)
        )
        import_id = getattr(cli.native.call(stub(cli).LearnParserActions, request), "import").import_id
    if no_wait:
        if cli.output.json_mode:
            cli.output.document(imports.document(cli.gateway.my_import(import_id)))
        cli.output.line(import_id)
        return
    raise typer.Exit(imports.finish(cli, imports.watch(cli, import_id)))


@app.command("enable")
def enable(context: typer.Context, _json: Json = False) -> None:
    """Let imports apply parser actions where they ask for it."""
    switch(cli_of(context), enabled=True)


@app.command("disable")
def disable(context: typer.Context, _json: Json = False) -> None:
    """Let no import of the tenant apply parser actions."""
    switch(cli_of(context), enabled=False)


def switch(cli: Cli, *, enabled: bool) -> None:
    request = pb.SetParserActionSettingsRequest(settings=pb.ParserActionSettings(enabled=enabled))
    changed = cli.native.call(stub(cli).SetParserActionSettings, request)
    print_change(cli.output, changed, f"Parser actions are {'on' if enabled else 'off'}.")


def stub(cli: Cli) -> ParserActionServiceAsyncStub:
    return ParserActionServiceStub(cli.native.channel)


def effect_of(action: pb.ParserAction) -> str:
    """The action in words, with what belongs to it."""
    word = WORDS[action.action]
    if word is Action.SEVERITY:
        return f"severity {severity_of(action.severity)}"
    if word is Action.LINK:
        gone = " (deleted)" if action.writeup_deleted else ""
        return f"link {action.writeup_id} {action.writeup_title}{gone}"
    return word


def severity_of(severity: pb.Severity.ValueType) -> str:
    return pb.Severity.Name(severity).removeprefix("SEVERITY_").lower()
