"""Which settings an operator may give to which component: those of its settings.py that the chart leaves open."""

from __future__ import annotations

from typing import Any

from pydantic_settings import BaseSettings

from services.fetcher.settings import FetcherSettings
from services.identity.settings import IdentitySettings
from services.importer.settings import ImporterSettings, WorkerSettings
from services.status.settings import StatusSettings
from services.upload.settings import UploadSettings

CLASSES: dict[str, type[BaseSettings]] = {
    "upload": UploadSettings,
    "importer": ImporterSettings,
    "status": StatusSettings,
    "identity": IdentitySettings,
    "worker": WorkerSettings,
    "fetcher": FetcherSettings,
}
# Addresses, credentials and places, which come from values of their own.
CHART_OWN = frozenset(
    {
        "listen", "health_listen", "metrics_listen", "public_url",
        "database_url", "audit_database_url", "dispatch_database_url", "nats_url", "scan_url", "secrets_key",
        "jwt_private_key_file", "otlp_endpoint", "trace_ratio",
        "identity_address", "importer_address", "status_address", "upload_address",
        "s3_endpoint", "s3_secure", "s3_region", "s3_access_key", "s3_secret_key", "s3_bucket", "s3_prefix",
    }
)  # fmt: skip
SCALARS = ["string", "number", "boolean"]


def open_settings(component: str) -> dict[str, dict[str, Any]]:
    """JSON schemas by name of setting."""
    properties = CLASSES[component].model_json_schema()["properties"]
    return {
        name: {"type": SCALARS, "description": _description(shape)}
        for name, shape in sorted(properties.items())
        for name in [name.removeprefix("HYTHE_").lower()]
        if name not in CHART_OWN
    }


def _description(shape: dict[str, Any]) -> str:
    text = shape.get("description", "")
    return f"{text} Default: {shape['default']}." if shape.get("default") not in (None, "") else text


def shared_settings() -> dict[str, dict[str, Any]]:
    """Those of any component: what a service does not know, it ignores."""
    return {name: shape for component in CLASSES for name, shape in open_settings(component).items()}
