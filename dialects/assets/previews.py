"""What a mapping makes of a sample, in a shape of our own: by the names of object types and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Members = Mapping[str, Any]


def preview_json(plan: Members, preview: Members) -> dict[str, Any]:
    """`plan` and `preview` as plain lists and dicts (services/importer/targets/objects/plan.py, formats/objects).

    `damage` is what ends the sample before the records are over; of one that was cut it says so.
    """
    types = {each["type_id"]: each for each in plan.get("types", ())}
    members: dict[str, Any] = {
        "records": [_record(types, each) for each in preview["records"]],
        "warnings": [_warning(each) for each in preview["remarks"]],
    }
    if preview["damage"] is not None:
        members["damage"] = _error(preview["damage"])
    return members


def _record(types: Mapping[int, Members], record: Members) -> dict[str, Any]:
    line, _, path = record["position"]
    members: dict[str, Any] = {
        "line": line,
        "path": path,
        "objects": [_object(types[each["type_id"]], each) for each in record["objects"]],
        "skipped": [
            {"objectType": _type(types[each["type_id"]]), "reason": each["reason"]} for each in record["skipped"]
        ],
        "warnings": [_warning(each) for each in record["cautions"]],
    }
    return members if record["error"] is None else {**members, "error": _error(record["error"])}


def _object(type_: Members, made: Members) -> dict[str, Any]:
    attributes = {each["attribute_id"]: each for each in type_["attributes"]}
    return {
        "objectType": _type(type_),
        "label": made["label"],
        "key": made["key"],
        "attributes": [
            {**_attribute(attributes[int(number)]), "value": value} for number, value in made["values"].items()
        ],
        "cleared": [_attribute(attributes[number]) for number in made["cleared"]],
        "references": [
            {
                **_attribute(attributes[number]),
                "objectMappingIQL": (attributes[number].get("reference") or {}).get("query", ""),
                "values": list(values),
            }
            for number, values in made["lookups"]
        ],
    }


def _type(type_: Members) -> dict[str, str]:
    return {"id": str(type_["type_id"]), "name": type_["name"]}


def _attribute(attribute: Members) -> dict[str, str]:
    return {"id": str(attribute["attribute_id"]), "name": attribute["name"]}


def _warning(caution: Members) -> dict[str, str]:
    return {"code": caution["code"], "message": caution["message"]}


def _error(error: Members) -> dict[str, str]:
    return {"code": error["code"], "message": error["message"], "field": error["field"], "value": error["value"]}
