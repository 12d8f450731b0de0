"""What a person should know of an import beside its state."""

from __future__ import annotations

from collections.abc import Iterator

from cli.shapes import ImportRow


def state_of(row: ImportRow) -> str:
    """The state, and what else decides what of the import is there."""
    marks = [
        mark
        for mark, is_set in (
            ("dry run", row.dry_run),
            ("duplicate", row.duplicate_of),
            ("undone", row.undone_by),
        )
        if is_set
    ]
    return f"{row.state} ({', '.join(marks)})" if marks else row.state


def remarks(row: ImportRow) -> Iterator[str]:
    """For people: why an import that succeeded has left nothing, or has nothing left."""
    if row.duplicate_of:
        yield f"The same file was imported before, by {row.duplicate_of}: nothing was merged again. --force does it."
    if row.undone_by:
        yield f"This import has been taken back by {row.undone_by}."
