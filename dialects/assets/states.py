"""The words of the Assets API for the states of imports and of their sources.

`importStatus` has the published page's words; `status` of an execution and of a source has those that clients wait for.
"""

from __future__ import annotations

from typing import Literal

ImportStatus = Literal["PENDING", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "PAUSED"]
ExecutionStatus = Literal["INGESTING", "PROCESSING", "DONE", "CANCELLED"]
ConfigStatus = Literal["IDLE", "DISABLED", "MISSING_MAPPING", "RUNNING"]

IMPORT_STATUS: dict[str, ImportStatus] = {
    "OPEN": "IN_PROGRESS",
    "QUEUED": "PENDING",
    "RUNNING": "IN_PROGRESS",
    "PAUSED": "PAUSED",
    "SUCCEEDED": "COMPLETED",
    "FAILED": "FAILED",
    "CANCELLED": "CANCELLED",
}
"""By the state of the import."""
EXECUTION_STATUS: dict[str, ExecutionStatus] = {
    "OPEN": "INGESTING",
    "QUEUED": "PROCESSING",
    "RUNNING": "PROCESSING",
    "PAUSED": "PROCESSING",
    "SUCCEEDED": "DONE",
    "FAILED": "DONE",
    "CANCELLED": "CANCELLED",
}
"""By the state of the import. That a run has failed is said beside it."""


def config_status(*, is_running: bool, has_mapping: bool, is_enabled: bool) -> ConfigStatus:
    """What a source can be asked for. A run that was begun is told of first: clients cancel it by this answer."""
    if is_running:
        return "RUNNING"
    if not is_enabled:
        return "DISABLED"
    return "IDLE" if has_mapping else "MISSING_MAPPING"
