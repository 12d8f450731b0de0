"""The tools whose files can be imported, and which of them wrote a file: the server judges by its beginning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc

from cli.context import Cli
from cli.errors import CliError, ExitCode
from cli.shapes import DetectedSource
from hythe.importer.v1 import importer_pb2 as importer
from hythe_client import HytheError
from hythe_client.files import regular_size

HEAD_BYTES = 4096
# What is in an archive may stand behind other files in it.
ARCHIVE_HEAD_BYTES = 256 * 1024
ARCHIVES = (b"PK", b"\x1f\x8b")


def check_source(cli: Cli, source: str) -> None:
    """Refuse an unknown source before a large file is sent for nothing."""
    known = known_sources(cli)
    if known and source not in known:
        raise CliError(f"There is no source {source!r}. Known are: {', '.join(known)}.", ExitCode.USAGE)


def known_sources(cli: Cli) -> list[str]:
    """All slugs; none where the server cannot be asked."""
    try:
        return [one.source for one in cli.native.sources()]
    except HytheError as error:
        # A proxy on the way may pass REST only; then the server's word comes after the upload.
        if error.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED}:
            return []
        raise


def detect_source(cli: Cli, path: Path, *, into_report: bool) -> str:
    """The source of a file, told to the user; CliError says what the file looks like when there is none."""
    regular_size(path)
    found = cli.gateway.detect_source(head_of(path))
    fitting = [each for each in found.sources if each.imports == ("findings" if into_report else "assets")]
    if not fitting:
        raise unfit(cli, f"{path.name} looks like {found.look}", found.sources)
    best, *others = fitting
    also = f" Also possible: {', '.join(each.source for each in others)}." if others else ""
    cli.output.hint(f"{path.name} looks like {found.look}: imported as --source {best.source}.{also}")
    return best.source


def head_of(path: Path) -> bytes:
    """As much of a file's beginning as tells what it is."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if head.startswith(ARCHIVES):
            head += file.read(ARCHIVE_HEAD_BYTES - HEAD_BYTES)
        return head


def unfit(cli: Cli, look: str, others: list[DetectedSource]) -> CliError:
    """Nothing takes the file, or not in this way."""
    if not others:
        known = known_sources(cli)
        hint = f" Name its --source; known are: {', '.join(known)}." if known else " Name its --source."
        return CliError(f"{look}, which no format recognises.{hint}", ExitCode.USAGE)
    if others[0].imports == "assets":
        return CliError(f"{look}, which brings client assets only: leave --report out.", ExitCode.USAGE)
    return CliError(f"{look}, which brings findings: name a --report.", ExitCode.USAGE)


def brought(source: importer.Source) -> str:
    """What a source imports, in words."""
    return ", ".join(
        word for word, is_so in (("findings", source.brings_findings), ("assets", source.brings_assets)) if is_so
    )


def document(source: importer.Source) -> dict[str, Any]:
    """A source as the object that --json prints."""
    return {
        "source": source.source,
        "display_name": source.display_name,
        "imports": brought(source),
        "extensions": list(source.extensions),
        "formats": [
            {
                "name": one.name,
                "title": one.title,
                "syntax": one.syntax,
                "extensions": list(one.extensions),
                "imports": "assets" if one.assets_only else "findings",
            }
            for one in source.file_formats
        ],
    }
