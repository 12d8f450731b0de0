"""How a run of an import source ended, in the words of the Assets API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FINISHED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
RESULTS = {"SUCCEEDED": "OK", "FAILED": "ERROR", "CANCELLED": "CANCELLED"}
NOTHING = "No data to import"


def is_finished(run: Mapping[str, Any]) -> bool:
    """Nothing follows. `run` is a row of `services/status/store/executions.py`."""
    return run["state"] in FINISHED


def result_of(run: Mapping[str, Any]) -> str:
    """`OK`, `ERROR` or `CANCELLED`, of a run that has ended."""
    return RESULTS[run["state"]]


def message_of(run: Mapping[str, Any]) -> str:
    """A sentence for people, of a run that has ended."""
    if run["state"] == "FAILED":
        return run["error_message"] or "The import failed."
    if run["state"] == "CANCELLED":
        return run["error_message"] or "The import was cancelled."
    if run["duplicate_of"] is not None:
        return f"The same data was imported before, by execution {run['duplicate_of']}; nothing was changed."
    if not run["read"]:
        return NOTHING
    done = "would be" if run["dry_run"] else "were"
    created, updated, removed = changes_of(run)
    said = (
        f"{created} objects {done} created, {updated} updated, {removed} removed; {run['unchanged']} are as they were."
    )
    return f"{said} {run['rejected']} entries were rejected." if run["rejected"] else said


def changes_of(run: Mapping[str, Any]) -> tuple[int, int, int]:
    """Objects that were created, updated and removed: by entries of the source, and because they were missing in it."""
    types = run["entities"].values()
    updated = run["updated"] + sum(each.get("missing_updated", 0) for each in types)
    removed = run["deleted"] + sum(each.get("missing_deleted", 0) for each in types)
    return run["inserted"], updated, removed
