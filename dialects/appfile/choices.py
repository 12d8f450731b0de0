"""What a body says about how to import a file: members of our own, each of which may be left out."""

from __future__ import annotations

from dataclasses import dataclass

from dialects.appfile.members import Members
from runtime.errors import InvalidArgument

# The words for a policy, without regard to case and separators, and the native ones.
ON_ERROR = {"continue": "continue", "abort": "abort", "abortabove": "abort_above", "allornothing": "all_or_nothing"}
EMPTY = ("clear", "keep")


@dataclass(frozen=True, slots=True)
class Choices:
    """None: not said. `on_error` is the native word, `sha256` what the caller has written."""

    dry_run: bool | None = None
    force: bool | None = None
    on_error: str | None = None
    max_errors: int | None = None
    max_error_percent: float | None = None
    expected_records: int | None = None
    sha256: str = ""
    keeps_empty: bool | None = None
    """Whether an empty value leaves what the record has, instead of clearing it."""
    requires_footer: bool | None = None


def choices(members: Members) -> Choices:
    """InvalidArgument names the member that cannot be read; whether they make sense together is for the importer."""
    empty = members.text("Empty").strip().lower()
    if empty and empty not in EMPTY:
        raise InvalidArgument("INVALID_OPTION", "Empty must be clear or keep.", field="Empty")
    return Choices(
        dry_run=members.flag("DryRun"),
        force=members.flag("Force"),
        on_error=on_error(members.text("OnError")),
        max_errors=members.whole("MaxErrors"),
        max_error_percent=members.number("MaxErrorPercent"),
        expected_records=members.whole("ExpectedRecords"),
        sha256=members.text("Sha256").strip(),
        keeps_empty=empty == "keep" if empty else None,
        requires_footer=members.flag("RequireFooter"),
    )


def on_error(said: str) -> str | None:
    if not said.strip():
        return None
    word = ON_ERROR.get(said.strip().lower().replace("_", "").replace("-", ""))
    if word is None:
        known = "continue, abort, abortAbove, allOrNothing"
        raise InvalidArgument("INVALID_POLICY", f"OnError must be one of {known}.", field="OnError")
    return word
