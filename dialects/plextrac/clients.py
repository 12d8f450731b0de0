"""How PlexTrac shows a client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dialects.plextrac.ids import cuid


def client_row(client: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the old list. `data` has exactly three items: the official Nessus script drops other rows."""
    client_id = client["client_id"]
    return {"id": f"client_{client_id}", "doc_id": [client_id], "data": [client_id, client["name"], None]}


def client_object(client: Mapping[str, Any]) -> dict[str, Any]:
    """The whole client. Members for what is not kept here are empty."""
    return {
        "cuid": cuid("client", client["tenant_id"], client["client_id"]),
        "tenant_id": client["tenant_id"],
        "client_id": client["client_id"],
        "name": client["name"],
        "poc": client["poc"],
        "poc_email": client["poc_email"],
        "custom_field": [],
        "tags": list(client["tags"]),
        "logo": "",
        "description": client["description"],
        "doc_type": "client",
        "users": {},
    }
