"""The decoder of what a body says about how to import a file: members of our own, each of which may be left out.

They are as lenient as PlexTrac's own members: booleans and numbers may come as text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dialects.plextrac.bodies import flag, text
from runtime.errors import InvalidArgument

# Their words for a policy, without regard to case and separators, and the native ones.
ON_ERROR = {
    "continue": "continue",
    "abort": "abort",
    "abortabove": "abort_above",
    "allornothing": "all_or_nothing",
}


@dataclass(frozen=True, slots=True)
class Choices:
    """None: nothing is said. `on_error` is the native word, `sha256` what the caller has written."""

    dry_run: bool | None = None
    force: bool | None = None
    on_error: str | None = None
    max_errors: int | None = None
    max_error_percent: float | None = None
    expected_records: int | None = None
    sha256: str = ""


def choices(payload: Mapping[str, Any]) -> Choices:
    """InvalidArgument names the member that cannot be read; whether they make sense together is for the importer."""
    return Choices(
        dry_run=_flag(payload, "dryRun"),
        force=_flag(payload, "force"),
        on_error=_on_error(payload),
        max_errors=_whole_number(payload, "maxErrors"),
        max_error_percent=_number(payload, "maxErrorPercent"),
        expected_records=_whole_number(payload, "expectedRecords"),
        sha256=text(payload, "sha256").strip(),
    )


def undo_is_dry_run(payload: Mapping[str, Any]) -> bool:
    """The one member of the body of an undo."""
    return bool(_flag(payload, "dryRun"))


def _flag(payload: Mapping[str, Any], name: str) -> bool | None:
    return None if _is_absent(payload.get(name)) else flag(name, payload[name])


def _on_error(payload: Mapping[str, Any]) -> str | None:
    said = text(payload, "onError").strip()
    if not said:
        return None
    word = ON_ERROR.get(said.lower().replace("_", "").replace("-", ""))
    if word is None:
        known = "continue, abort, abortAbove, allOrNothing"
        raise InvalidArgument("INVALID_POLICY", f"onError must be one of {known}.", field="onError")
    return word


def _number(payload: Mapping[str, Any], name: str) -> float | None:
    value = payload.get(name)
    if _is_absent(value):
        return None
    try:
        # A boolean is a number to Python and none to people.
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]  # of any JSON type
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidArgument("INVALID_NUMBER", f"{name} must be a number.", field=name)
    return number


def _whole_number(payload: Mapping[str, Any], name: str) -> int | None:
    number = _number(payload, name)
    if number is None:
        return None
    if not number.is_integer():
        raise InvalidArgument("INVALID_NUMBER", f"{name} must be a whole number.", field=name)
    return int(number)


def _is_absent(value: Any) -> bool:
    return value is None or value == ""
