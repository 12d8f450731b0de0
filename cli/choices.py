"""How an import is to be done, as options of the command: the same for a new import and for a re-run."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import CliError, ExitCode
from hythe.importer.v1 import importer_pb2 as importer

SHA256 = re.compile(r"[0-9a-fA-F]{64}")
AUTO = "auto"


class OnError(StrEnum):
    CONTINUE = "continue"
    ABORT = "abort"
    ABORT_ABOVE = "abort-above"
    ALL_OR_NOTHING = "all-or-nothing"


REST_WORDS = {
    OnError.CONTINUE: "continue",
    OnError.ABORT: "abort",
    OnError.ABORT_ABOVE: "abortAbove",
    OnError.ALL_OR_NOTHING: "allOrNothing",
}
NUMBERS = {
    OnError.CONTINUE: importer.ON_ERROR_CONTINUE,
    OnError.ABORT: importer.ON_ERROR_ABORT,
    OnError.ABORT_ABOVE: importer.ON_ERROR_ABORT_ABOVE,
    OnError.ALL_OR_NOTHING: importer.ON_ERROR_ALL_OR_NOTHING,
}

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Do everything, keep nothing but the counters and the list of errors.")
]
Force = Annotated[bool, typer.Option("--force", help="Import the file even when it has been imported here before.")]
OnErrorOption = Annotated[
    OnError | None, typer.Option("--on-error", help="What rejected items mean for the rest; continue unless told.")
]
ParserActions = Annotated[
    bool, typer.Option("--parser-actions", help="Apply the tenant's parser actions; see `hythe parser-actions`.")
]
MaxErrors = Annotated[
    int | None, typer.Option(min=0, help="Keep nothing when more items than this are rejected (abort-above).")
]
MaxErrorPercent = Annotated[
    float | None,
    typer.Option(min=0, max=100, help="Keep nothing when a larger share of the items is rejected (abort-above)."),
]
ExpectRecords = Annotated[int | None, typer.Option(min=0, help="Items that the file must have.")]
Sha256 = Annotated[str, typer.Option(help="What the file must be, in hexadecimal; auto: as the file is here now.")]
Sha256OfStored = Annotated[str, typer.Option("--sha256", help="What the stored file must be, in hexadecimal.")]


@dataclass(frozen=True)
class Choices:
    """What was said; None and empty: nothing."""

    dry_run: bool = False
    force: bool = False
    on_error: OnError | None = None
    max_errors: int | None = None
    max_error_percent: float | None = None
    expect_records: int | None = None
    sha256: str = ""
    parser_actions: bool = False

    def completed(self, path: Path | None = None) -> Choices:
        """With a limit that says what it is for, and the checksum of the file at `path` where that is asked for."""
        on_error = self.on_error
        if on_error is None and (self.max_errors, self.max_error_percent) != (None, None):
            on_error = OnError.ABORT_ABOVE
        checksum = self.sha256.strip()
        if checksum == AUTO and path is not None:
            with path.open("rb") as file:
                checksum = hashlib.file_digest(file, "sha256").hexdigest()
        if checksum and not SHA256.fullmatch(checksum):
            raise CliError("--sha256 takes 64 hexadecimal digits.", ExitCode.USAGE)
        return replace(self, on_error=on_error, sha256=checksum)

    def members(self) -> dict[str, Any]:
        """As members of a REST body: what was said, and no more."""
        said = {
            "dryRun": self.dry_run or None,
            "force": self.force or None,
            "onError": REST_WORDS[self.on_error] if self.on_error else None,
            "maxErrors": self.max_errors,
            "maxErrorPercent": self.max_error_percent,
            "expectedRecords": self.expect_records,
            "sha256": self.sha256 or None,
            "useParserActions": self.parser_actions or None,
        }
        return {name: value for name, value in said.items() if value is not None}

    def message(self) -> importer.ImportOptions:
        return importer.ImportOptions(
            dry_run=self.dry_run,
            force=self.force,
            policy=importer.Policy(
                on_error=NUMBERS[self.on_error] if self.on_error else importer.ON_ERROR_UNSPECIFIED,
                max_errors=self.max_errors,
                max_error_percent=self.max_error_percent,
            ),
            expected_sha256=self.sha256,
            expected_records=self.expect_records,
        )
