"""What an import has to say of single items: the rejected ones as rows, and all of them as a file."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlsplit

import httpx
import typer

from cli.context import Cli, Json, cli_of
from cli.errors import CliError, ExitCode, Unreachable
from cli.gateway import LARGEST_PAGE, PATIENCE_SECONDS, TIMEOUT, refusal
from cli.output import size
from cli.shapes import ReportUrl, RowError, RowErrorPage

COLUMNS = ("record_number", "position", "field", "code", "message", "value")


def errors(
    context: typer.Context,
    import_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the import.")],
    limit: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="How many, in the order of the file; else all kept.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the full report to this file, as CSV; of an undo, its rows."),
    ] = None,
    _json: Json = False,
) -> None:
    """Show the items of a file that were rejected, and why. The first 1,000 are kept; the report has all of them."""
    cli = cli_of(context)
    if report is not None:
        count = download(cli, import_id, report)
        if cli.output.json_mode:
            cli.output.document({"report": str(report), "size_bytes": count})
        cli.output.line(f"Wrote {report} ({size(count)}).")
        return
    pages = RowErrorPages(cli, import_id, min(limit or LARGEST_PAGE, LARGEST_PAGE))
    rows = [{name: getattr(one, name) for name in COLUMNS} for one in islice(pages, limit)]
    if cli.output.json_mode:
        cli.output.document({"total_rejected": pages.total, "errors": rows})
        return
    cli.output.table(["Item ", "Position", "Field", "Code", "Message", "Value"], [list(row.values()) for row in rows])
    cli.output.line(f"{pages.total:,} items rejected, {len(rows):,} shown.")
    if pages.total > len(rows):
        cli.output.hint(f"`hythe errors {import_id} --report FILE` gets all of them.")


class RowErrorPages:
    """The kept errors, page by page as they are asked for. `total` counts all, once the first page is there."""

    def __init__(self, cli: Cli, import_id: str, page_size: int) -> None:
        self._gateway = cli.gateway
        self._path = f"{path_of(import_id)}/errors?limit={page_size}"
        self.total = 0

    def __iter__(self) -> Iterator[RowError]:
        token: str | None = ""
        while token is not None:
            path = self._path + (f"&page_token={quote(token, safe='')}" if token else "")
            page = self._gateway.call("GET", path, RowErrorPage, patience=PATIENCE_SECONDS)
            self.total, token = page.total_rejected, page.next_page_token
            yield from page.errors


def download(cli: Cli, import_id: str, target: Path) -> int:
    """Gives the bytes written. The file is there when it is whole; before that there is nothing under its name."""
    url = cli.gateway.call("GET", f"{path_of(import_id)}/report", ReportUrl, patience=PATIENCE_SECONDS).url
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        count = fetch(cli, url, unfinished)
        unfinished.replace(target)
    except OSError as error:
        raise CliError(f"{target} cannot be written: {error.strerror}.", ExitCode.FAILED) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return count


def fetch(cli: Cli, url: str, target: Path) -> int:
    """The URL is the credential: no other goes along, and no error shows it."""
    count = 0
    try:
        with (
            httpx.Client(timeout=TIMEOUT, verify=cli.trust, transport=cli.transport) as http,
            http.stream("GET", url) as answer,
            target.open("xb") as file,
        ):
            if not answer.is_success:
                answer.read()
                raise refusal(answer)
            for block in answer.iter_bytes():
                count += file.write(block)
    except httpx.TransportError as error:
        raise Unreachable(f"{urlsplit(url).netloc} broke off: {type(error).__name__}.") from error
    return count


def path_of(import_id: str) -> str:
    return f"/api/v2/my-imports/{quote(import_id, safe='')}"
