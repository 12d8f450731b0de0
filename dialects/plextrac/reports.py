"""How PlexTrac shows a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dialects.plextrac.ids import cuid
from dialects.plextrac.times import epoch_ms


def report_row(report: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the old list. `id` is a number: one live client reads nothing else, though a text is documented."""
    details = report["details"]
    return {
        "id": report["report_id"],
        "doc_id": [report["client_id"]],
        "data": [
            report["report_id"],
            report["name"],
            None,
            report["status"],
            report["finding_count"],
            _list(details, "operators"),
            _list(details, "reviewers"),
            epoch_ms(report["created_at"]),
            _text_or_none(details, "start_date"),
            _text_or_none(details, "end_date"),
            list(report["tags"]),
            _text_or_none(details, "template"),
            _text_or_none(details, "fields_template"),
        ],
    }


def report_item(report: Mapping[str, Any]) -> dict[str, Any]:
    """An item of the v2 list. What its maker gave and has no meaning here is shown as it came."""
    details = report["details"]
    return {
        "id": report["report_id"],
        "cuid": cuid("report", report["tenant_id"], report["report_id"]),
        "client_id": report["client_id"],
        "name": report["name"],
        "status": report["status"],
        "created_at": epoch_ms(report["created_at"]),
        "fields_template": _text_or_none(details, "fields_template"),
        "tags": list(report["tags"]),
        "reviewers": _list(details, "reviewers"),
        "classificationTierId": _text_or_none(details, "classificationTierId"),
        "template": _text_or_none(details, "template"),
        "description": report["description"],
        "logistics": _text_or_none(details, "logistics") or "",
        "reportType": _text_or_none(details, "reportType") or "default",
        "includeEvidence": details.get("includeEvidence") is True,
        "start_date": _text_or_none(details, "start_date"),
        "end_date": _text_or_none(details, "end_date"),
        "exec_summary": {"custom_fields": _list(details, "custom_fields")},
        "custom_field": _list(details, "custom_field"),
        "operators": _list(details, "operators"),
        "isTrackChanges": False,
        "findings": report["finding_count"],
        "fields_template_name": "",
        "template_name": "",
    }


def report_object(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report by itself: the item, and under which names single objects give their id and kind."""
    return {
        **report_item(report),
        "report_id": report["report_id"],
        "tenant_id": report["tenant_id"],
        "client_name": report["client_name"],
        "doc_type": "report",
    }


def _list(details: Mapping[str, Any], name: str) -> list[Any]:
    value = details.get(name)
    return value if isinstance(value, list) else []


def _text_or_none(details: Mapping[str, Any], name: str) -> str | None:
    value = details.get(name)
    return value if isinstance(value, str) else None
