"""Schedules of import sources in the two spellings that are published: both are read, and answers have both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from dialects.assets.executions import flag
from dialects.assets.links import Links
from dialects.assets.times import moment
from runtime.errors import InvalidArgument

FREQUENCIES = ("ONCE", "DAILY", "WEEKLY", "MONTHLY", "CRON")


@dataclass(frozen=True, slots=True)
class ScheduleBody:
    """As it was said. `start_at` None: it was not. `timezone` is UTC where none is named."""

    frequency: str
    start_at: datetime | None
    timezone: str
    cron: str
    callback_url: str | None
    is_active: bool


class Schedule(Protocol):
    """What is needed of a schedule."""

    @property
    def schedule_id(self) -> UUID: ...
    @property
    def import_source_id(self) -> UUID: ...
    @property
    def workspace_id(self) -> UUID: ...
    @property
    def frequency(self) -> str: ...
    @property
    def cron(self) -> str: ...
    @property
    def timezone(self) -> str: ...
    @property
    def start_at(self) -> datetime: ...
    @property
    def callback_url(self) -> str | None: ...
    @property
    def is_active(self) -> bool: ...
    @property
    def next_at(self) -> datetime | None: ...
    @property
    def fired_at(self) -> datetime | None: ...
    @property
    def last_import_id(self) -> UUID | None: ...
    @property
    def last_error(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def updated_at(self) -> datetime: ...


def schedule_body(payload: Mapping[str, Any]) -> ScheduleBody:
    """`runInterval` or `runFrequency`; with `cron` (ours) neither is needed. InvalidArgument names what is wrong."""
    cron = _text(payload, "cron")
    spelled = {name: _text(payload, name).upper() for name in ("runFrequency", "runInterval")}
    said = {word for word in spelled.values() if word} or ({"CRON"} if cron else set())
    if len(said) != 1 or not said <= set(FREQUENCIES):
        known = ", ".join(FREQUENCIES)
        raise InvalidArgument("INVALID_FREQUENCY", f"runFrequency must be one of {known}.", field="runFrequency")
    return ScheduleBody(
        frequency=said.pop(),
        start_at=_moment(_text(payload, "startTime")),
        timezone=_text(payload, "timezone") or "UTC",
        cron=cron,
        callback_url=_text(payload, "callbackUrl") or None,
        is_active=payload.get("isActive") is None or flag(payload, "isActive"),
    )


def schedule_json(schedule: Schedule) -> dict[str, Any]:
    """In both spellings. What has no value is left out: clients take null for a time of 1970."""
    times = {
        "nextScheduledTime": schedule.next_at if schedule.is_active else None,
        "lastScheduledTime": schedule.fired_at,
    }
    return {
        "id": str(schedule.schedule_id),
        "importScheduleId": str(schedule.schedule_id),
        "importSourceId": str(schedule.import_source_id),
        "collectionId": str(schedule.workspace_id),
        "runFrequency": schedule.frequency,
        "runInterval": schedule.frequency,
        **({"cron": schedule.cron} if schedule.cron else {}),
        "startTime": moment(schedule.start_at),
        "timezone": schedule.timezone,
        **({"callbackUrl": schedule.callback_url} if schedule.callback_url else {}),
        "isActive": schedule.is_active,
        **{name: moment(at) for name, at in times.items() if at is not None},
        **({"lastExecutionId": str(schedule.last_import_id)} if schedule.last_import_id else {}),
        **({"lastErrorCode": schedule.last_error} if schedule.last_error else {}),
        "created": moment(schedule.created_at),
        "createdAt": moment(schedule.created_at),
        "updated": moment(schedule.updated_at),
        "updatedAt": moment(schedule.updated_at),
    }


def schedule_links_json(
    links: Links, workspace_id: UUID, import_source_id: UUID, schedule_id: UUID | None
) -> dict[str, Any]:
    """Where a schedule is made, and where the one is that there is."""
    made = f"{links.source(workspace_id, import_source_id)}/importschedule"
    found = {} if schedule_id is None else {"schedule": f"{made}/{schedule_id}"}
    return {"result": "success", "links": {"createSchedule": made, **found}}


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise InvalidArgument("FIELD_NOT_TEXT", f"{name} must be a text.", field=name)
    return value.strip()


def _moment(text: str) -> datetime | None:
    """ISO 8601; without an offset it is UTC, as the guide says."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at.replace(tzinfo=UTC) if at.tzinfo is None else at).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument(
            "INVALID_START_TIME", "startTime must be a date and time in ISO 8601.", field="startTime"
        ) from None
