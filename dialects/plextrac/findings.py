"""How PlexTrac shows a finding (object structure 2.6.7), and evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dialects.plextrac.ids import cuid, uuid
from dialects.plextrac.times import epoch_ms, epoch_ms_or_none

# By `sev`: 0 is the worst.
SEVERITIES = ("Critical", "High", "Medium", "Low", "Informational")
DOC_VERSION = "2.6.7"
CVE = re.compile(r"CVE-(\d{4})-(\d{1,15})", re.IGNORECASE)
# Our word for a score's system -> the member of `risk_score`, of `fields.scores`, and the label there. The first that a
# finding has is the one it is judged by.
SCORES = {
    "cvss4": ("CVSS4", None, ""),
    "cvss3_1": ("CVSS3_1", "cvss3", "CVSSv3.1 Base Score"),
    "cvss3": ("CVSS3", "cvss3", "CVSSv3 Base Score"),
    "cvss2": ("CVSS2", "cvss", "CVSS Base Score"),
}
# The one key of `fields` that is no field.
SCORES_KEY = "scores"


def flaw_row(finding: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the old list; `data` goes by position: live rows have twelve items."""
    row_id = f"flaw_{finding['client_id']}-{finding['report_id']}-{finding['flaw_id']}"
    return {
        "id": row_id,
        "doc_id": [row_id],
        "data": [
            finding["flaw_id"],
            SEVERITIES[finding["severity"]],
            finding["title"],
            finding["status"],
            epoch_ms(finding["updated_at"]),
            None,
            epoch_ms(finding["created_at"]),
            epoch_ms_or_none(finding["closed_at"]),
            None,
            None,
            finding["visibility"],
            "",
        ],
    }


def finding_head(finding: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """The whole finding but for `affected_assets`, which may be long and is written behind it.

    Texts are given as they were imported: HTML in them is data. Members for what is not kept here are empty or null.
    """
    scores = {score["system"]: score for score in finding["scores"]}
    return {
        **_identity(finding, names),
        "title": finding["title"],
        "description": finding["description"],
        "recommendations": finding["recommendations"],
        "references": finding["references"],
        "severity": SEVERITIES[finding["severity"]],
        "sev": finding["severity"],
        "severity_key": finding["severity"],
        "calculated_severity": False,
        "status": finding["status"],
        "subStatus": "",
        "visibility": finding["visibility"],
        "source": finding["source"],
        "assignedTo": None,
        "createdAt": epoch_ms(finding["created_at"]),
        "reportedAt": epoch_ms(finding["created_at"]),
        "last_update": epoch_ms(finding["updated_at"]),
        "closedAt": epoch_ms_or_none(finding["closed_at"]),
        "reopenedAt": None,
        "tags": list(finding["tags"]),
        "common_identifiers": {
            "CVE": [cve_identifier(name) for name in finding["cves"]],
            "CWE": [cwe_identifier(number) for number in finding["cwes"]],
        },
        "fields": fields_map(finding["fields"], scores),
        "risk_score": {SCORES[system][0]: risk_score(score) for system, score in scores.items() if system in SCORES},
        "selectedScore": next((system for system in SCORES if system in scores), ""),
        **_nothing(),
    }


def _identity(finding: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": finding["flaw_id"],
        "flaw_id": finding["flaw_id"],
        "finding_id": None,
        "cuid": cuid("finding", finding["tenant_id"], finding["finding_id"]),
        "client_id": finding["client_id"],
        "client_name": names["client_name"],
        "report_id": finding["report_id"],
        "report_name": names["report_name"],
        "tenant_id": finding["tenant_id"],
        "doc_type": "flaw",
        "doc_version": DOC_VERSION,
    }


def _nothing() -> dict[str, Any]:
    """Members that clients expect and an import never fills."""
    return {
        "code_samples": [],
        "exhibits": [],
        "jiraIssue": None,
        "jiraIssueKey": None,
        "jiraIssueLink": None,
        "serviceNowTicket": None,
        "serviceNowTicketKey": None,
        "serviceNowTicketTable": None,
        "timeToNearestSLA": "",
        "prioritiesSample": {"priorities": [], "total": 0},
    }


def cve_identifier(name: str) -> dict[str, Any]:
    """Year and number are null where the name is not of the usual form."""
    parts = CVE.fullmatch(name)
    return {
        "name": name,
        "year": int(parts[1]) if parts else None,
        "id": int(parts[2]) if parts else None,
        "link": f"https://www.cve.org/CVERecord?id={name}",
    }


def cwe_identifier(number: int) -> dict[str, Any]:
    return {
        "name": f"CWE-{number}",
        "id": number,
        "link": f"https://cwe.mitre.org/data/definitions/{number}.html",
    }


def fields_map(labelled: Mapping[str, str], scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Custom fields by a key made of their label, in the order of labels, and `scores` beside them."""
    fields: dict[str, Any] = {}
    for order, label in enumerate(sorted(labelled)):
        key = _free_key(label, fields)
        fields[key] = {
            "id": key,
            "key": key,
            "label": label,
            "value": labelled[label],
            "sort_order": order,
        }
    fields[SCORES_KEY] = {}
    for system, (_, name, label) in SCORES.items():
        if name is not None and system in scores and name not in fields[SCORES_KEY]:
            fields[SCORES_KEY][name] = {
                "type": name,
                "label": label,
                "value": _number_text(scores[system].get("base")),
                "calculation": scores[system].get("vector") or "",
            }
    return fields


def _free_key(label: str, taken: Mapping[str, Any]) -> str:
    stem = re.sub(r"\W+", "_", label.lower()).strip("_") or "field"
    key, number = stem, 2
    while key in taken or key == SCORES_KEY:
        key, number = f"{stem}_{number}", number + 1
    return key


def risk_score(score: Mapping[str, Any]) -> dict[str, Any]:
    """`overall` is the most specific score there is, as CVSS has it."""
    parts = {name: score[name] for name in ("base", "temporal") if score.get(name) is not None}
    return {
        "vector": score.get("vector") or "",
        "overall": parts.get("temporal", parts.get("base")),
        "subScore": parts,
    }


def _number_text(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def scan_output(proof: Mapping[str, Any]) -> dict[str, Any]:
    """One piece of evidence on an affected asset. `isTruncated` is ours: a text over the limit was cut at import."""
    return {
        "id": evidence_id(proof["tenant_id"], proof["evidence_id"]),
        "caption": proof["caption"],
        "code": proof["code"],
        "assets": [str(proof["asset_id"])],
        "flaw_id": proof["flaw_id"],
        "client_id": proof["client_id"],
        "report_id": proof["report_id"],
        "createdAt": epoch_ms(proof["created_at"]),
        "isTruncated": proof["length"] > len(proof["code"]),
    }


def evidence_id(tenant_id: int, number: int) -> str:
    return str(uuid("evidence", tenant_id, number))


def evidence_ids(tenant_id: int, numbers: Iterable[int]) -> Sequence[str]:
    return [evidence_id(tenant_id, number) for number in numbers]
