"""What a caller may ask of an import beside its file: when errors end it, and what the file must be."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class OnError(StrEnum):
    """What rejected items mean for the rest."""

    CONTINUE = "continue"
    ABORT = "abort"
    ABORT_ABOVE = "abort_above"
    ALL_OR_NOTHING = "all_or_nothing"


class EmptyValues(StrEnum):
    """What an empty value of a row does with the value that the record has."""

    CLEAR = "clear"
    KEEP = "keep"


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """As it stands in `imports.policy`. The two limits count with ABORT_ABOVE only, the last two with records only."""

    on_error: OnError = OnError.CONTINUE
    max_errors: int | None = None
    max_error_percent: float | None = None
    expected_records: int | None = None
    empty: EmptyValues = EmptyValues.CLEAR
    require_footer: bool = True


class Options(msgspec.Struct, frozen=True):
    """How one import is to be done. `expected_sha256` is the digest itself, 32 bytes."""

    dry_run: bool = False
    force: bool = False
    policy: Policy = Policy()
    expected_sha256: bytes | None = None


def options_of(row: Mapping[Any, Any]) -> Options:
    """As they stand in a row of `imports`."""
    return Options(
        dry_run=row["dry_run"],
        force=row["force"],
        policy=msgspec.convert(row["policy"], Policy),
        expected_sha256=row["expected_sha256"],
    )
