"""Import sources in the shapes of the Assets API: what is asked of one, and what is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from dialects.assets.links import Links
from dialects.assets.members import flag_member, id_member, object_member, text_member, whole_numbers
from dialects.assets.source_settings import SourceType
from dialects.assets.states import IMPORT_STATUS, config_status
from dialects.assets.times import moment
from runtime.errors import InvalidArgument

MODULE_KEYS: Mapping[SourceType, str] = {
    "csv": "rlabs-import-type-csv",
    "json": "rlabs-import-type-json",
    "external": "rlabs-import-type-external",
    # Atlassian's cloud has no such modules.
    "database": "hythe-import-type-database",
    "ldap": "hythe-import-type-ldap",
    "rest": "hythe-import-type-rest",
    "custom": "hythe-import-type-custom",
}
TYPES_BY_KEY = {key: type_ for type_, key in MODULE_KEYS.items()}
SAID = frozenset(
    {
        *("name", "description", "type", "importSourceModuleKey", "objectSchemaId", "isEnabled", "settings", "fileKey"),
        *("defaultConcatenator", "defaultHandleEmptyValues", "defaultHandleUnknownValues"),
        *("dateFormat", "dateTimeFormat"),
    }
)
SHOWN_ONLY = frozenset(
    {
        *("id", "collectionId", "workspaceId", "created", "updated", "importStatus", "importSpecificConfiguration"),
        *("importSourceOTEntries", "tokenGenerated", "url", "hasSecret"),
        *("integratedImportTypeId", "integratedImportTypeExtensionId"),
        *("defaultHandleComputeIssueValues", "defaultHandleNullValues", "defaultHandleNotMappedValues"),
        *("isImportSourceSchedulingEnabled", "importExecutionType", "scheduledImportDetails", "latestImportStatus"),
    }
)
"""Whoever changes what was shown may send all of it back."""


@dataclass(frozen=True, slots=True)
class SourceBody:
    """None: not said. `type` "" and `object_schema_id` 0 too."""

    type: str
    object_schema_id: int
    name: str | None
    description: str | None
    is_enabled: bool | None
    settings: Mapping[str, Any] | None
    file_key: str | None
    concatenator: str | None
    empty_values: str | None
    unknown_values: str | None
    date_format: str | None
    date_time_format: str | None


class Run(Protocol):
    @property
    def import_id(self) -> UUID: ...
    @property
    def state(self) -> str: ...
    @property
    def is_scheduled(self) -> bool: ...


class Schedule(Protocol):
    @property
    def schedule_id(self) -> UUID: ...
    @property
    def frequency(self) -> str: ...
    @property
    def start_at(self) -> datetime: ...
    @property
    def next_at(self) -> datetime | None: ...
    @property
    def created_at(self) -> datetime: ...


class Source(Protocol):
    """What is needed of an import source. `plan` and `document` None: there is no mapping, or none is shown."""

    @property
    def import_source_id(self) -> UUID: ...
    @property
    def workspace_id(self) -> UUID: ...
    @property
    def object_schema_id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def type(self) -> SourceType: ...
    @property
    def is_enabled(self) -> bool: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def has_secret(self) -> bool: ...
    @property
    def file_key(self) -> str | None: ...
    @property
    def concatenator(self) -> str: ...
    @property
    def empty_values(self) -> str: ...
    @property
    def unknown_values(self) -> str: ...
    @property
    def date_format(self) -> str: ...
    @property
    def date_time_format(self) -> str: ...
    @property
    def document(self) -> Mapping[str, Any] | None: ...
    @property
    def plan(self) -> Mapping[str, Any] | None: ...
    @property
    def token_created_at(self) -> datetime | None: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def updated_at(self) -> datetime: ...
    @property
    def running(self) -> Run | None: ...
    @property
    def latest(self) -> Run | None: ...
    @property
    def schedule(self) -> Schedule | None: ...


def source_body(payload: Mapping[str, Any]) -> SourceBody:
    """Raises InvalidArgument UNKNOWN_FIELD for a member that nobody knows."""
    if unknown := sorted(payload.keys() - SAID - SHOWN_ONLY):
        raise InvalidArgument("UNKNOWN_FIELD", f"There is no member {unknown[0][:100]!r}.", field=unknown[0][:100])
    members = whole_numbers(payload)
    key = text_member(members, "importSourceModuleKey") or ""
    return SourceBody(
        type=text_member(members, "type") or str(TYPES_BY_KEY.get(key, key)),
        object_schema_id=id_member(members, "objectSchemaId"),
        name=text_member(members, "name"),
        description=text_member(members, "description"),
        is_enabled=flag_member(members, "isEnabled"),
        settings=object_member(members, "settings"),
        file_key=text_member(members, "fileKey"),
        concatenator=text_member(members, "defaultConcatenator"),
        empty_values=text_member(members, "defaultHandleEmptyValues"),
        unknown_values=text_member(members, "defaultHandleUnknownValues"),
        date_format=text_member(members, "dateFormat"),
        date_time_format=text_member(members, "dateTimeFormat"),
    )


def source_json(source: Source) -> dict[str, Any]:
    """`ImportSourceResponse`, and beside it what is ours: type, settings, fileKey, hasSecret, isEnabled."""
    members: dict[str, Any] = {
        "id": str(source.import_source_id),
        "collectionId": str(source.object_schema_id),
        "workspaceId": str(source.workspace_id),
        "name": source.name,
        "description": source.description,
        "created": moment(source.created_at),
        "updated": moment(source.updated_at),
        "objectSchemaId": str(source.object_schema_id),
        "type": source.type,
        "importSourceModuleKey": MODULE_KEYS[source.type],
        "isEnabled": source.is_enabled,
        "defaultConcatenator": source.concatenator,
        "defaultHandleEmptyValues": source.empty_values,
        "defaultHandleUnknownValues": source.unknown_values,
        "dateFormat": source.date_format,
        "dateTimeFormat": source.date_time_format,
        "importStatus": {**_validity(source), **_status_words(source)},
        "importSpecificConfiguration": json.dumps(source.settings, ensure_ascii=False),
        "settings": dict(source.settings),
        "hasSecret": source.has_secret,
        "importSourceOTEntries": _type_entries(source),
        "tokenGenerated": source.token_created_at is not None,
        "url": source.settings.get("url"),
        "isImportSourceSchedulingEnabled": source.schedule is not None,
    }
    if source.file_key is not None:
        members["fileKey"] = source.file_key
    if source.latest is not None:
        members["latestImportStatus"] = IMPORT_STATUS[source.latest.state]
        members["importExecutionType"] = "SCHEDULED" if source.latest.is_scheduled else "MANUAL"
    if source.schedule is not None:
        members["scheduledImportDetails"] = _schedule(source.schedule)
    return members


def config_status_json(source: Source, links: Links) -> dict[str, Any]:
    """While it runs, the links of that run: clients cancel by them what an earlier one of theirs has left behind."""
    members: dict[str, Any] = {"status": status_of(source)}
    if source.latest is not None:
        members["importStatus"] = IMPORT_STATUS[source.latest.state]
    if source.running is not None:
        place = source.workspace_id, source.import_source_id, source.running.import_id
        members |= {
            "importStatus": IMPORT_STATUS[source.running.state],
            "executionId": str(source.running.import_id),
            "links": links.of_execution(*place),
        }
    return members


def token_json(text: str, created_at: datetime, used_at: datetime | None) -> dict[str, Any]:
    """`lastUsed` is not there where it never was."""
    members = {"token": text, "created": moment(created_at)}
    return {**members, "lastUsed": moment(used_at)} if used_at else members


def change_json(result: str, message: str) -> dict[str, str]:
    """How a change of a mapping ended. Only changes that have ended are known."""
    status = "COMPLETED" if result == "OK" else "FAILED"
    return {"progressStatus": "FINISHED", "result": result, "resultMessage": message, "importStatus": status}


def status_of(source: Source) -> str:
    return config_status(
        is_running=source.running is not None, has_mapping=source.plan is not None, is_enabled=source.is_enabled
    )


def _status_words(source: Source) -> dict[str, str]:
    """As Atlassian's own pages show them."""
    is_valid = source.plan is not None
    return {
        "status": status_of(source),
        "name": "Enabled" if source.is_enabled else "Disabled",
        "validation": "Valid" if is_valid else "Invalid configuration",
        "configurationAuiLozenge": "aui-lozenge-success" if source.is_enabled else "aui-lozenge-default",
        "validationAuiLozenge": "aui-lozenge-success" if is_valid else "aui-lozenge-error",
    }


def _validity(source: Source) -> dict[str, Any]:
    is_valid = source.plan is not None
    return {
        "configurationStatusType": "ENABLED" if source.is_enabled else "DISABLED",
        "validationStatusType": "VALID" if is_valid else "INVALID_CONFIGURATION",
        "reasonForInvalidity": {} if is_valid else {"mapping": "There is no mapping yet."},
    }


def _type_entries(source: Source) -> list[dict[str, Any]]:
    """One for each object type that is mapped. Where the document is not at hand, without what only it says."""
    types = source.plan.get("types", ()) if source.plan else ()
    mappings = source.document["mapping"]["objectTypeMappings"] if source.document else [{}] * len(types)
    return [
        {
            "id": str(number),
            "parentImportSourceOTId": None,
            "importSourceId": str(source.import_source_id),
            "created": moment(source.created_at),
            "updated": moment(source.updated_at),
            "description": mapping.get("description", ""),
            "objectType": {"id": str(each["type_id"]), "name": each["name"]},
            "selectorQlQuery": mapping.get("selectorQlQuery", ""),
            "selectorIQL": mapping.get("selectorQlQuery", ""),
            "selector": each.get("selector", ""),
            "emptyValues": each.get("empty_values", "IGNORE"),
            "unknownValues": each.get("unknown_values", "IGNORE"),
            "importStatus": _validity(source),
            "importSourceOTAttrEntries": [{"id": str(one["attribute_id"])} for one in each["attributes"]],
            "matchIdentifierIgnoreCase": each.get("ignores_case", False),
        }
        for number, (each, mapping) in enumerate(zip(types, mappings, strict=True), 1)
    ]


def _schedule(schedule: Schedule) -> dict[str, Any]:
    members = {
        "importScheduleId": str(schedule.schedule_id),
        "startTime": moment(schedule.start_at),
        "runFrequency": schedule.frequency,
        "createdAt": moment(schedule.created_at),
    }
    return {**members, "nextScheduledTime": moment(schedule.next_at)} if schedule.next_at else members
