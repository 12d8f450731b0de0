"""How far a run of an import source is, in the six steps of the Assets API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from dialects.assets.executions import STEPS, TITLES
from dialects.assets.run_results import changes_of, is_finished, message_of, result_of
from dialects.assets.source_settings import FILE_TYPES
from dialects.assets.states import IMPORT_STATUS
from dialects.assets.times import moment

VALIDATION, CONNECTION, DISCOVERY, MAPPING, PROCESSING, COMPLETION = range(1, STEPS + 1)
NAMES = MappingProxyType(
    {
        VALIDATION: "Validation",
        CONNECTION: "Connection",
        DISCOVERY: "Schema Discovery",
        MAPPING: "Mapping",
        PROCESSING: "Processing",
        COMPLETION: "Completion",
    }
)
# Phases before anything is read; while it is staged, what was read decides.
WAITING = frozenset({"queued", "starting"})
READ_PERCENT, WHOLE = 90, 100
"""All is read then, and the rest is the merge."""


def progress_json(run: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """`Progress` of the published page and of Atlassian's own document, which call some things by other names.

    `run` is a row of `services/status/store/executions.py`. `finishedDate` is absent until the end, as clients read a
    null as a date; `endDate` is null. Work units are objects of the source; how many there are is reckoned from the
    bytes that were read until all are.
    """
    step, title = step_of(run), TITLES.get(run["source_type"], "")
    done, total = _work_units(run, step)
    members: dict[str, Any] = {
        "progressInPercent": run["percent"],
        "resourceId": str(run["import_source_id"]),
        "category": "imports",
        "status": IMPORT_STATUS[run["state"]],
        "importStatus": IMPORT_STATUS[run["state"]],
        "stepDescription": NAMES[step],
        "currentStep": step,
        "numberOfSteps": STEPS,
        "currentWorkUnits": done,
        "currentWorkDescription": _description(run, step, title),
        "currentStepTotalWorkUnits": total,
        "totalWorkUnits": total,
        "resultData": _result_data(run),
        "actor": run["user_email"],
        "startDate": moment(run["started_at"] or run["created_at"]),
        "endDate": None,
        "executionUUID": str(run["import_id"]),
    }
    if is_finished(run):
        ended = moment(run["ended_at"] or run["updated_at"])
        return members | {
            "result": result_of(run),
            "resultMessage": message_of(run),
            "finishedDate": ended,
            "endDate": ended,
        }
    estimate = _estimated_end(run, now)
    return members if estimate is None else members | {"estimatedFinishDate": moment(estimate)}


def step_of(run: Mapping[str, Any]) -> int:
    """The step that it is in, or that it ended or was stopped in."""
    if run["state"] == "SUCCEEDED":
        return COMPLETION
    if run["state"] == "OPEN":
        return CONNECTION
    if run["needs_fetch"]:
        # Also between two tries, and where it has failed or was stopped before all was there.
        return VALIDATION if run["started_at"] is None else CONNECTION
    if run["phase"] in WAITING:
        # What was sent or fetched has come; steps do not go back.
        return VALIDATION if run["source_type"] in FILE_TYPES else CONNECTION
    if run["percent"] > READ_PERCENT or run["phase"] == "preparing the merge":
        return PROCESSING
    if run["read"]:
        return MAPPING
    if run["processed_bytes"] or run["state"] == "RUNNING":
        return DISCOVERY
    return VALIDATION


def _work_units(run: Mapping[str, Any], step: int) -> tuple[int, int]:
    """Of its objects, and of how many."""
    read = run["read"]
    told = (run["told_progress"] or {}).get("objects", {})
    if step <= CONNECTION and told:
        return told.get("processed", 0), told.get("total", 0)
    if step == COMPLETION:
        return read, read
    if step == PROCESSING:
        merged = max(0, run["percent"] - READ_PERCENT) / (WHOLE - READ_PERCENT)
        return int(read * merged), read
    done, size = run["processed_bytes"], run["file_size"]
    return read, max(read, read * size // done) if done else read


def _description(run: Mapping[str, Any], step: int, title: str) -> str:
    """What it does, in words."""
    if is_finished(run):
        return message_of(run)
    told = (run["told_progress"] or {}).get("steps", {}).get("description")
    match run["state"]:
        case "OPEN":
            return told or f"{title} import receives data..."
        case "PAUSED":
            return f"{title} import is paused."
        case "QUEUED" if run["waits"]:
            return f"{title} import waits for the end of another run..."
        case "QUEUED":
            return f"{title} import is queued..."
    if step == PROCESSING:
        return f"{run['phase'].capitalize()}..."
    return {
        VALIDATION: f"{title} import started...",
        CONNECTION: "Reading from the source...",
        DISCOVERY: "Finding out what the source consists of...",
    }.get(step, "Mapping objects...")


def _result_data(run: Mapping[str, Any]) -> dict[str, Any]:
    name = run["user_email"]
    created, updated, removed = changes_of(run)
    return {
        "executedType": "SCHEDULED" if run["is_scheduled"] else "MANUAL",
        "executedAsUser": {"displayName": name, "emailAddress": name, "key": str(run["user_id"]), "name": name},
        "dryRun": run["dry_run"],
        "objectsCreated": created,
        "objectsUpdated": updated,
        "objectsIdentical": run["unchanged"],
        "objectsRemoved": removed,
        "entriesRead": run["read"],
        "errorCount": run["rejected"],
        **({"errorCode": run["error_code"] or "FAILED"} if run["state"] == "FAILED" else {}),
    }


def _estimated_end(run: Mapping[str, Any], now: datetime) -> datetime | None:
    """As far as it has come in the time that it took. What waits for other merges says nothing of itself."""
    percent, started = run["percent"], run["started_at"]
    if run["state"] != "RUNNING" or not percent or started is None:
        return None
    elapsed = max(now - started, timedelta(0))
    estimated: datetime = started + elapsed * WHOLE / percent
    return estimated
