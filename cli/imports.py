"""One import from the command's side: send the file, start the import, follow it, tell what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from cli import output, undos, upload
from cli.choices import Choices
from cli.context import Cli
from cli.engagements import Named, resolve_client, resolve_report
from cli.errors import CliError, ExitCode
from cli.progress import follow, show_import
from cli.remarks import remarks
from cli.shapes import ImportDetail, ImportRow
from hythe_client.files import regular_size


@dataclass(frozen=True)
class Order:
    """What is to be imported into what. Without a report it is an import of client assets."""

    path: Path
    source: str
    client: str
    report: str = ""
    create: bool = False
    asset_tags: list[str] = field(default_factory=list)
    finding_tags: list[str] = field(default_factory=list)
    part_size: int = 0
    """Of a file that is sent in parts, in bytes; 0: as the server thinks best."""
    choices: Choices = field(default_factory=Choices)


def start(cli: Cli, order: Order) -> str:
    """Send the file and queue its import; gives the import's id."""
    gateway = cli.gateway
    regular_size(order.path)
    client = resolve_client(gateway, order.client, create=order.create)
    report = resolve_report(gateway, client, order.report, create=order.create) if order.report else None
    with upload.sent(cli, order.path, order.part_size) as file:
        return trigger(cli, order, client, report, file)


def trigger(cli: Cli, order: Order, client: Named, report: Named | None, file: upload.Sent) -> str:
    """Queue the import of a file that is at the server; gives its id."""
    request_id = file.request_id(client.id, report.id if report else 0, order)
    if report is None:
        return cli.native.create_import(
            client_id=client.id,
            source=order.source,
            key=file.key,
            file_name=order.path.name,
            asset_tags=order.asset_tags,
            finding_tags=order.finding_tags,
            options=order.choices.message(),
            request_id=request_id,
        ).import_id
    return cli.gateway.start_import(
        client.id,
        report.id,
        order.source,
        key=file.key,
        file_name=order.path.name,
        asset_tags=order.asset_tags,
        finding_tags=order.finding_tags,
        request_id=request_id,
        choices=order.choices.members(),
    )


def watch(cli: Cli, import_id: str) -> ImportDetail:
    """Follow an import to its end, with a bar."""
    try:
        return show_import(cli.output.bars, follow(cli.gateway, import_id), quiet=cli.output.json_mode)
    except KeyboardInterrupt as interrupt:
        text = (
            f"No longer watching; the import goes on. `hythe watch {import_id}` follows it again, "
            f"`hythe cancel {import_id}` stops it."
        )
        raise CliError(text, ExitCode.INTERRUPTED, import_id=import_id) from interrupt


def summarise(out: output.Output, detail: ImportDetail) -> None:
    """What became of the import, for people."""
    counters, job = detail.counters, detail.import_job
    outcomes = ("inserted", "updated", "unchanged", "deleted", "skipped", "rejected")
    told = ", ".join(f"{count:,} {name}" for name in outcomes if (count := getattr(counters, name)))
    out.facts(
        [
            ("Import", detail.id),
            ("Result", detail.status),
            ("Reason", detail.error_status),
            ("File", f"{detail.name} ({output.size(int(detail.file_size))})"),
            ("Into", " / ".join(name for name in (detail.client_name, detail.report_name) if name)),
            ("Took", duration(detail)),
            ("Items", f"{counters.read:,} read" + (f": {told}" if told else "")),
            ("Findings", f"{job.processed_findings:,}"),
            ("Assets", f"{job.processed_assets:,}"),
            ("Affected assets", f"{job.processed_finding_assets:,}"),
            ("Evidence", f"{job.processed_evidence:,}"),
            ("Parser actions", acted(detail)),
        ]
    )
    if detail.options.dry_run:
        out.line("This was a dry run: nothing was kept but this report.")
    for remark in remarks(detail):
        out.line(remark)
    for caution in detail.cautions:
        times = f" ({caution.count:,} times)" if caution.count > 1 else ""
        out.line(f"Note: {caution.message}{times}", style="yellow")
    if counters.rejected:
        out.hint(f"`hythe errors {detail.id}` shows why items were rejected.")


def acted(detail: ImportDetail) -> str:
    """What parser actions have done, or that some were learned; empty: nothing."""
    done = detail.parser_actions
    return ", ".join(
        f"{count:,} {name}" for name in ("ignored", "forced", "linked", "learned") if (count := getattr(done, name))
    )


def duration(detail: ImportDetail) -> str:
    """From the first worker's start to the end, as the server's clock has it."""
    if not detail.started_at or not detail.ended_at:
        return ""
    seconds = (datetime.fromisoformat(detail.ended_at) - datetime.fromisoformat(detail.started_at)).total_seconds()
    return f"{seconds:.1f} s"


def document(detail: ImportRow) -> dict[str, Any]:
    """The same for programs: the members of the gateway's answer."""
    built: dict[str, Any] = msgspec.to_builtins(detail)
    return built


def finish(cli: Cli, detail: ImportDetail) -> ExitCode:
    """Tell the end of an import; gives the exit code."""
    if cli.output.json_mode:
        cli.output.document(document(detail))
    elif detail.kind == "undo":
        undos.show(cli.output, detail, duration(detail))
    else:
        summarise(cli.output, detail)
    return ExitCode.SUCCEEDED if detail.has_succeeded else ExitCode.FAILED
