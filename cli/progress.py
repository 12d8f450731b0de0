"""The two bars: bytes on their way up, then the import on its way through the workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from cli.gateway import Gateway
from cli.output import visible
from cli.shapes import ImportDetail

FIRST_POLL_SECONDS = 0.1
LONGEST_POLL_SECONDS = 1.0
# A gateway that is being replaced is waited for; the import itself does not depend on it.
PATIENCE_SECONDS = 120.0
LABEL_WIDTH = 9


def follow(gateway: Gateway, import_id: str, *, sleep: Callable[[float], None] = time.sleep) -> Iterator[ImportDetail]:
    """The import now and then, at first often, to its terminal state."""
    pause = FIRST_POLL_SECONDS
    while True:
        detail = gateway.my_import(import_id, patience=PATIENCE_SECONDS)
        yield detail
        if detail.is_finished:
            return
        sleep(pause)
        pause = min(pause * 1.3, LONGEST_POLL_SECONDS)


@contextmanager
def upload_bar(console: Console, size: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar that is told the bytes sent so far."""
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=console, disable=quiet) as progress:
        task = progress.add_task("Upload".ljust(LABEL_WIDTH), total=max(size, 1))
        yield lambda sent: progress.update(task, completed=sent)
        progress.update(task, completed=max(size, 1))


def show_import(console: Console, details: Iterator[ImportDetail], *, quiet: bool = False) -> ImportDetail:
    """Draws each state of an import as it comes, and gives back the last. An import that is not there gets no bar."""
    first = next(details)
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        StateColumn(),
    ]
    with Progress(*columns, console=console, disable=quiet) as progress:
        task = progress.add_task("Import".ljust(LABEL_WIDTH), total=100, told="")
        for latest in chain([first], details):
            progress.update(task, completed=latest.progress, told=describe(latest))
    return latest


class StateColumn(ProgressColumn):
    """Phase and counters, which come from the server and may hold anything."""

    def render(self, task: Task) -> Text:
        return Text(visible(task.fields["told"]))


def describe(detail: ImportDetail) -> str:
    """One line on where the import is."""
    if detail.is_finished:
        return detail.status
    words = [detail.phase or detail.state.lower()]
    asked = {
        "dry run": detail.options.dry_run,
        "to be paused": detail.pause_requested,
        "to be cancelled": detail.cancel_requested,
    }
    words += [word for word, is_so in asked.items() if is_so]
    words += [
        f"{count:,} {name}"
        for name, count in (
            ("items", detail.counters.read),
            ("findings", detail.import_job.processed_findings),
            ("assets", detail.import_job.processed_assets),
        )
        if count
    ]
    return ", ".join(words)
