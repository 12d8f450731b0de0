"""Runs of import sources as the Assets API tells of them: their status with counters, their place in the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dialects.assets.links import Links
from dialects.assets.run_results import changes_of, is_finished, message_of, result_of
from dialects.assets.source_settings import EXTERNAL
from dialects.assets.states import EXECUTION_STATUS, IMPORT_STATUS
from dialects.assets.times import moment

Run = Mapping[str, Any]
"""A row of `services/status/store/executions.py`."""

NO_TYPE = "0"
"""Counters of what nobody knows the object type of."""
# Their words for the counters of services/importer/targets/objects/counters.py. `duplicateEnries` is how it is spelt.
COUNTERS = {
    "objectsCreated": "created",
    "objectsUpdated": "updated",
    "objectsIdentical": "identical",
    "objectsMissingUpdated": "missing_updated",
    "objectsMissingDeleted": "missing_deleted",
    "entriesInSource": "entries",
    "duplicateEnries": "duplicates",
    "duplicateEntries": "duplicates",
    "emptyLabelEntries": "empty_labels",
    "emptyExternalIdEntries": "empty_keys",
    "objectsFilteredWithQlQuery": "filtered",
    "objectsWithUpdatedReferences": "updated_references",
    "referencesNotFound": "not_found",
    "errorCount": "errors",
}


def status_json(run: Run, errors: Sequence[Run]) -> dict[str, Any]:
    """`errors` are rows of the first rejected entries.

    A run that has failed is DONE, too; `importStatus` and `progressResult.result` tell it from one that has not.
    """
    return {
        "status": EXECUTION_STATUS[run["state"]],
        "importStatus": IMPORT_STATUS[run["state"]],
        "executionId": str(run["import_id"]),
        "progressResult": _result(run, errors),
    }


def execution_json(run: Run, links: Links) -> dict[str, Any]:
    """One line of the history."""
    members = {
        "id": str(run["import_id"]),
        "executionId": str(run["import_id"]),
        "executionNumber": run["execution_number"],
        "importSourceId": str(run["import_source_id"]),
        "kind": "ROLLBACK" if run["kind"] == "undo" else "IMPORT",
        "status": EXECUTION_STATUS[run["state"]],
        "importStatus": IMPORT_STATUS[run["state"]],
        "isScheduled": run["is_scheduled"],
        "waits": run["waits"],
        "dryRun": run["dry_run"],
        "force": run["force"],
        "actor": {"accountId": str(run["user_id"]), "emailAddress": run["user_email"]},
        "progressInPercent": run["percent"],
        "created": moment(run["created_at"]),
        "updated": moment(run["updated_at"]),
        "started": _moment(run["started_at"]),
        "ended": _moment(run["ended_at"]),
        "errorCode": run["error_code"],
        "failureReason": run["error_message"] if run["state"] == "FAILED" else None,
        "counters": _counters(run),
        "rolledBack": run["undone_by"] is not None,
        "rolledBackBy": _text(run["undone_by"]),
        "rolledBackAt": _moment(run["undone_at"]),
        "origin": run["origin"],
        "originExecutionId": _text(run["origin_import_id"]),
        "duplicateOf": _text(run["duplicate_of"]),
    }
    return {name: value for name, value in members.items() if value is not None} | {"links": _links(run, links)}


def details_json(run: Run, errors: Sequence[Run], links: Links) -> dict[str, Any]:
    """The line, what the status has, and what there is to be said beside."""
    return {
        **execution_json(run, links),
        "progressResult": _result(run, errors),
        "warnings": run["cautions"] or [],
        "toldProgress": run["told_progress"] or {},
    }


def data_json(inputs: Sequence[Run], total: int, start: int, size: int) -> dict[str, Any]:
    """A page of what a run reads: pieces that were sent, or the files that stand for a source."""
    return page_json([_input(each) for each in inputs], total, start, size)


def errors_json(errors: Sequence[Run], kept: int, rejected: int, start: int, size: int, url: str) -> dict[str, Any]:
    """A page of the rejected entries. Only the first are `kept` here; behind the URL are all that were `rejected`."""
    page = page_json([_row_error(each) for each in errors], kept, start, size)
    page |= {"total": rejected, "listed": kept}
    return page | {"download": url} if url else page


def page_json(values: Sequence[Any], total: int, start: int, size: int) -> dict[str, Any]:
    """A page as the Assets API has them, which says twice whether it is the last one."""
    is_last = start + len(values) >= total
    return {
        "startAt": start,
        "maxResults": size,
        "total": total,
        "isLast": is_last,
        "last": is_last,
        "values": list(values),
    }


def _result(run: Run, errors: Sequence[Run]) -> dict[str, Any]:
    types = {name: _type_result(name, counters, run["type_names"]) for name, counters in run["entities"].items()}
    members: dict[str, Any] = {
        "type": "IMPORT",
        "id": run["execution_number"] or 0,
        "jobId": str(run["import_id"]),
        "importSourceId": str(run["import_source_id"]),
        "objectSchemaId": run["object_schema_id"],
        "started": _moment(run["started_at"] or run["created_at"]),
        "status": "IN_PROGRESS",
        "infoMessage": "",
        "populatedObjectTypes": [int(name) for name in types if name != NO_TYPE],
        "onlyExecutedForObjectTypes": [],
        "objectTypeResultMap": types,
        "errorMessages": _messages(run, errors),
        "totalNumberEntriesInImport": sum(each["entriesInSource"] for each in types.values()),
        "entriesCreated": run["inserted"],
        "entriesUpdated": run["updated"],
        "entriesFailed": run["rejected"],
        "entriesProcessed": run["read"],
    }
    if is_finished(run):
        members |= {
            "status": "FINISHED",
            "result": result_of(run),
            "infoMessage": message_of(run),
            "ended": _moment(run["ended_at"] or run["updated_at"]),
        }
    return members


def _counters(run: Run) -> dict[str, int]:
    created, updated, removed = changes_of(run)
    names = ("read", "unchanged", "skipped", "rejected")
    return {"created": created, "updated": updated, "removed": removed} | {name: run[name] for name in names}


def _type_result(type_id: str, counters: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": int(type_id),
        "objectTypeId": int(type_id),
        "objectTypeName": names.get(type_id, ""),
        **{name: counters.get(counter, 0) for name, counter in COUNTERS.items()},
        "errorMessages": _by_code(counters.get("messages", ())),
    }


def _by_code(told: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """Of pairs of code and message."""
    messages: dict[str, list[str]] = {}
    for code, message in told:
        messages.setdefault(code, []).append(message)
    return messages


def _messages(run: Run, errors: Sequence[Run]) -> dict[str, list[str]]:
    """By codes: why it failed, and the first of what was rejected."""
    failure = [(run["error_code"] or "FAILED", run["error_message"] or "")] if run["state"] == "FAILED" else []
    return _by_code([*failure, *((each["code"], f"{each['position']}: {each['message']}") for each in errors)])


def _input(each: Run) -> dict[str, Any]:
    members = {
        "order": each["number"],
        "clientGeneratedId": each["chunk_id"],
        "size": each["size"],
        "digest": None if each["digest"] is None else each["digest"].hex(),
        "digestAlgorithm": None if each["digest"] is None else "SHA-256",
        "isKept": each["purged_at"] is None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _row_error(each: Run) -> dict[str, Any]:
    names = {"record": "record_number", "position": "position", "field": "field", "code": "code", "value": "value"}
    return {name: each[column] for name, column in names.items()} | {"message": each["message"]}


def _links(run: Run, links: Links) -> dict[str, str]:
    """What can be asked of it. Data is sent to runs of external sources alone, while they take it."""
    place = run["workspace_id"], run["import_source_id"], run["import_id"]
    reached = links.of_execution(*place)
    if run["source_type"] != EXTERNAL or run["state"] != "OPEN":
        reached = {name: link for name, link in reached.items() if not name.startswith("submit")}
    execution = links.execution(*place)
    return {**reached, "self": execution, "progress": f"{execution}/progress", "errors": f"{execution}/errors"}


def _moment(at: Any) -> str | None:
    return None if at is None else moment(at)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
