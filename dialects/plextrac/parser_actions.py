"""How PlexTrac shows and takes parser actions and writeups.

`DEFAULT` is PlexTrac's word for forcing the action's severity, `PASS_THROUGH` the one for leaving a finding as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dialects.plextrac.bodies import text
from dialects.plextrac.findings import SEVERITIES, fields_map
from dialects.plextrac.times import epoch_ms
from runtime.errors import InvalidArgument

CODES = ("PASS_THROUGH", "DEFAULT", "LINK", "IGNORE")
# What a new action does when nobody says so (the published collection).
USUAL_CODE = "DEFAULT"
SCORES_KEY = "scores"
WRITEUP_ID = re.compile(r"(?:template_)?([0-9]{1,9})")
TEXT_MEMBERS = ("title", "description", "recommendations", "references", "source")


@dataclass(frozen=True, slots=True)
class ActionBody:
    """What a body says of an action; None: nothing."""

    action_id: str
    code: str | None
    severity: int | None
    writeup_id: int | None
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class ShownWriteup:
    """`fields` are by label."""

    writeup_id: int
    tenant_id: int
    title: str
    severity: int
    description: str
    recommendations: str
    references: str
    source: str
    fields: Mapping[str, str]
    abbreviation: str
    repository_id: str
    is_deleted: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ShownChange:
    user_id: int
    user_email: str
    changed_at: datetime
    code: str
    severity: int
    writeup_id: int | None


@dataclass(frozen=True, slots=True)
class ShownAction:
    action_id: str
    code: str
    severity: int
    original_severity: int
    title: str
    description: str
    writeup: ShownWriteup | None
    changes: Sequence[ShownChange]


def action_body(payload: Mapping[str, Any]) -> ActionBody:
    """An action as bodies have it. Scripts send empty texts for what they do not mean to say."""
    return ActionBody(
        action_id=_id_text(payload.get("id")),
        code=code_of("action", text(payload, "action")),
        severity=severity_of(text(payload, "severity")),
        writeup_id=writeup_number(payload.get("writeupID")),
        title=text(payload, "title"),
        description=text(payload, "description"),
    )


def bulk_body(payload: Mapping[str, Any]) -> list[ActionBody]:
    """The member `actions`."""
    listed = payload.get("actions")
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise InvalidArgument("INVALID_ACTIONS", "actions must be a list of objects.", field="actions")
    return [action_body(each) for each in listed]


def code_of(field: str, word: str) -> str | None:
    """One of the four; None for no word."""
    if not word.strip():
        return None
    if word.strip().upper() in CODES:
        return word.strip().upper()
    known = ", ".join(CODES)
    raise InvalidArgument("UNKNOWN_ACTION", f"{field} is one of: {known}.", field=field, known=known)


def severity_of(word: str) -> int | None:
    """0 Critical to 4 Informational; None for no word."""
    if not word.strip():
        return None
    for number, severity in enumerate(SEVERITIES):
        if severity.lower() == word.strip().lower():
            return number
    known = ", ".join(SEVERITIES)
    raise InvalidArgument("INVALID_SEVERITY", f"severity is one of: {known}.", field="severity", known=known)


def writeup_number(value: Any) -> int | None:
    """`100001`, its digits, or `template_100001`; None for nothing. What cannot be one is 0, which no writeup has."""
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer() and 0 <= value < 10**9:
        return int(value)
    found = WRITEUP_ID.fullmatch(str(value).strip())
    return int(found[1]) if found else 0


def writeup_members(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Those members of a writeup that the body has, by the names of `ShownWriteup`."""
    said: dict[str, Any] = {name: text(payload, name) for name in TEXT_MEMBERS if payload.get(name) is not None}
    if payload.get("severity") is not None:
        said["severity"] = severity_of(text(payload, "severity"))
    for name, aliases in (
        ("repository_id", ("repositoryId", "repositoryID")),
        ("abbreviation", ("writeupAbbreviation",)),
    ):
        if any(payload.get(alias) is not None for alias in aliases):
            said[name] = text(payload, *aliases)
    if payload.get("fields") is not None:
        said["fields"] = field_values(payload["fields"])
    return said


def field_values(fields: Any) -> dict[str, str]:
    """By label. Findings and writeups have a map by key, older ones a list; the scores among them are no fields."""
    entries = fields.items() if isinstance(fields, Mapping) else enumerate(fields) if isinstance(fields, list) else None
    if entries is None:
        raise _bad_fields()
    found = {}
    for key, entry in entries:
        if key == SCORES_KEY:
            continue
        if not isinstance(entry, Mapping):
            raise _bad_fields()
        label, value = entry.get("label") or entry.get("key") or key, entry.get("value")
        found[str(label)] = "" if value is None else str(value)
    return found


def action_item(action: ShownAction) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": action.action_id,
        "action": action.code,
        "severity": SEVERITIES[action.severity],
        "original_severity": SEVERITIES[action.original_severity],
        "title": action.title,
        "description": action.description,
        "writeupID": str(action.writeup.writeup_id) if action.writeup else "",
        "writeupLabel": action.writeup.title if action.writeup else "",
        "log_trail": [log_entry(change) for change in action.changes],
    }
    if action.writeup:
        item["writeup"] = writeup_object(action.writeup)
    return item


def log_entry(change: ShownChange) -> dict[str, Any]:
    """Users have no names here; their address stands for it."""
    return {
        "updated_by": {"user_id": change.user_id, "name": {"first": change.user_email, "last": ""}},
        "updated_at": epoch_ms(change.changed_at),
        "action": change.code,
        "severity": SEVERITIES[change.severity],
        "writeupID": "" if change.writeup_id is None else str(change.writeup_id),
    }


def writeup_object(writeup: ShownWriteup) -> dict[str, Any]:
    fields = fields_map(writeup.fields, {})
    del fields[SCORES_KEY]
    return {
        "id": f"template_{writeup.writeup_id}",
        "doc_id": writeup.writeup_id,
        "doc_type": "template",
        "title": writeup.title,
        "severity": SEVERITIES[writeup.severity],
        "description": writeup.description,
        "recommendations": writeup.recommendations,
        "references": writeup.references,
        "source": writeup.source,
        "fields": {
            key: {name: entry[name] for name in ("key", "label", "value", "sort_order")}
            for key, entry in fields.items()
        },
        "repositoryId": writeup.repository_id,
        "writeupAbbreviation": writeup.abbreviation,
        "tenantId": writeup.tenant_id,
        "createdAt": epoch_ms(writeup.created_at),
        "updatedAt": epoch_ms(writeup.updated_at),
        "isDeleted": writeup.is_deleted,
    }


def writeup_changed(writeup_id: int) -> dict[str, Any]:
    return {"status": "success", "message": "success", "id": f"template_{writeup_id}", "doc_id": writeup_id}


def parsers(named: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Of (slug, name). Recorded answers have `id`, the published page says `source`."""
    return {"status": "success", "parsers": [{"name": name, "id": slug, "source": slug} for slug, name in named]}


def _id_text(value: Any) -> str:
    """Numbers in a body are floating."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return text({"id": value}, "id")


def _bad_fields() -> InvalidArgument:
    return InvalidArgument(
        "INVALID_FIELDS", "fields must be objects with label and value, by key or as a list.", field="fields"
    )
