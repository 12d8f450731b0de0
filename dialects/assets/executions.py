"""Runs of import sources in the shapes of the Assets API: what is said of one, and what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from dialects.assets.links import Links
from dialects.assets.source_settings import EXTERNAL
from dialects.assets.states import EXECUTION_STATUS, IMPORT_STATUS
from dialects.assets.times import moment
from runtime.errors import InvalidArgument

STEPS = 6
LONGEST_REASON = 1_024
LONGEST_DESCRIPTION = 1_024
LARGEST_COUNT = 2**53
"""JSON numbers of clients are exact up to here."""
TITLES = {
    "csv": "CSV",
    "json": "JSON",
    "external": "External",
    "database": "Database",
    "ldap": "LDAP",
    "rest": "REST",
    "custom": "Custom",
}


@dataclass(frozen=True, slots=True)
class StartBody:
    """How a run is to be done; all of it may be left out. `is_scheduled` is the client's word."""

    dry_run: bool = False
    force: bool = False
    queue: bool = False
    is_scheduled: bool = False


class Run(Protocol):
    """What is needed of an import."""

    @property
    def import_id(self) -> UUID: ...
    @property
    def import_source_id(self) -> UUID | None: ...
    @property
    def workspace_id(self) -> UUID | None: ...
    @property
    def state(self) -> str: ...
    @property
    def user_email(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def waits(self) -> bool: ...


def start_body(payload: Mapping[str, Any]) -> StartBody:
    """Raises InvalidArgument INVALID_FLAG. Members that are not known are passed over, as ever in this API."""
    return StartBody(
        dry_run=flag(payload, "dryRun"),
        force=flag(payload, "force"),
        queue=flag(payload, "queue"),
        is_scheduled=flag(payload, "scheduled"),
    )


def failure_reason(payload: Mapping[str, Any]) -> str:
    """Why the client gives up: 1 to 1,024 characters."""
    reason = payload.get("failureReason")
    if not isinstance(reason, str) or not 1 <= len(reason) <= LONGEST_REASON or "\0" in reason:
        raise InvalidArgument(
            "INVALID_FAILURE_REASON",
            f"failureReason must be a text of 1 to {LONGEST_REASON} characters.",
            field="failureReason",
        )
    return reason


def told_progress(payload: Mapping[str, Any]) -> dict[str, Any]:
    """`steps` and `objects` as the client has said them, each of which may be left out; nothing else is kept."""
    told: dict[str, Any] = {}
    for name, counts in (("steps", ("total", "current")), ("objects", ("total", "processed"))):
        said = payload.get(name)
        if said is None:
            continue
        if not isinstance(said, Mapping):
            raise bad_progress(name, f"{name} must be an object.")
        told[name] = {count: _count(said[count], f"{name}.{count}") for count in counts if said.get(count) is not None}
    description = (payload.get("steps") or {}).get("description")
    if description is not None:
        if not isinstance(description, str) or len(description) > LONGEST_DESCRIPTION or "\0" in description:
            raise bad_progress("steps.description", f"It must be a text of {LONGEST_DESCRIPTION} characters at most.")
        told["steps"]["description"] = description
    return told


def execution_json(run: Run, source_type: str, links: Links, *, dry_run: bool = False) -> dict[str, Any]:
    """What the start of a run answers, and every command on it.

    Data can be sent to runs of external sources only, so those alone have links for that.
    """
    reached = links.of_execution(_known(run.workspace_id), _known(run.import_source_id), run.import_id)
    if source_type != EXTERNAL:
        reached = {name: link for name, link in reached.items() if not name.startswith("submit")}
    return {
        "result": "success",
        "links": reached,
        "id": str(run.import_id),
        "executionId": str(run.import_id),
        "importSourceId": str(run.import_source_id),
        "status": EXECUTION_STATUS[run.state],
        "importStatus": IMPORT_STATUS[run.state],
        "waits": run.waits,
        "dryRun": dry_run,
    }


def started_json(run: Run, source_type: str, links: Links, *, dry_run: bool = False) -> dict[str, Any]:
    """`Progress` of a run that has only just been started, and beside it what is known of the run."""
    title = TITLES[source_type]
    return {
        **execution_json(run, source_type, links, dry_run=dry_run),
        "progressInPercent": 0,
        "resourceId": str(run.import_source_id),
        "category": "imports",
        "status": IMPORT_STATUS[run.state],
        "stepDescription": f"Starting {title} import...",
        "currentStep": 1,
        "numberOfSteps": STEPS,
        "currentWorkUnits": 0,
        "currentWorkDescription": f"{title} import started...",
        "currentStepTotalWorkUnits": 0,
        "totalWorkUnits": 0,
        "actor": run.user_email,
        "startDate": moment(run.created_at),
        "executionUUID": str(run.import_id),
    }


def flag(payload: Mapping[str, Any], name: str) -> bool:
    value = payload.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidArgument("INVALID_FLAG", f"{name} must be true or false.", field=name)
    return bool(value)


def bad_progress(field: str, message: str) -> InvalidArgument:
    return InvalidArgument("INVALID_PROGRESS", message, field=field)


def _count(value: object, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_COUNT or value % 1:
        raise bad_progress(field, f"{field} must be a whole number, 0 or more.")
    return int(value)


def _known(value: UUID | None) -> UUID:
    if value is None:
        message = "a run without a source"
        raise ValueError(message)
    return value
