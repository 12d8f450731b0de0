"""The one decoder of request bodies: JSON objects with aliases and changing types, form fields, tags."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from runtime.errors import InvalidArgument, UnsupportedMediaType

MAX_FORM_FIELDS = 200
IDEMPOTENCY_HEADER = "idempotency-key"
# Report members that are kept as they came and shown again; they have no meaning for an import.
REPORT_DETAILS = (
    "logistics",
    "template",
    "start_date",
    "end_date",
    "fields_template",
    "classificationTierId",
    "reportType",
    "reviewers",
    "operators",
    "custom_field",
    "custom_fields",
    "includeEvidence",
)
TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
FALSE_WORDS = frozenset({"false", "0", "no", "off", ""})


@dataclass(frozen=True, slots=True)
class Tags:
    """As the caller wrote them; the importer brings them to their stored form."""

    assets: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UploadBody:
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ImportBody:
    key: str
    file_name: str
    options: ImportOptions


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What JSON bodies and multipart fields say alike."""

    tags: Tags
    use_parser_actions: bool


@dataclass(frozen=True, slots=True)
class ClientBody:
    name: str
    description: str
    poc: str
    poc_email: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportBody:
    name: str
    description: str
    status: str
    tags: tuple[str, ...]
    details: dict[str, Any] = field(default_factory=dict)


def upload_body(payload: Mapping[str, Any]) -> UploadBody:
    """`name`, also called `filename` and `fileName`; some clients add a `size`."""
    return UploadBody(name=text(payload, "name", "filename", "fileName"), size_bytes=_size(payload.get("size")))


def import_body(payload: Mapping[str, Any]) -> ImportBody:
    return ImportBody(
        key=text(payload, "key"),
        file_name=text(payload, "fileName", "filename", "name"),
        options=import_options(payload),
    )


def import_options(fields: Mapping[str, Any]) -> ImportOptions:
    """Both members are optional."""
    return ImportOptions(
        tags=tags(fields.get("tags")), use_parser_actions=flag("useParserActions", fields.get("useParserActions"))
    )


def idempotency_key(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """The header `Idempotency-Key`, which makes a trigger repeatable; empty without one."""
    return next((str(value) for key, value in metadata or () if key == IDEMPOTENCY_HEADER), "")


def client_body(payload: Mapping[str, Any]) -> ClientBody:
    return ClientBody(
        name=text(payload, "name"),
        description=text(payload, "description"),
        poc=text(payload, "poc"),
        poc_email=text(payload, "poc_email"),
        tags=tag_list("tags", payload.get("tags")),
    )


def report_body(content_type: str, body: bytes) -> ReportBody:
    """JSON or form-urlencoded: the official Nessus script sends a form."""
    payload = json_or_form(content_type, body)
    return ReportBody(
        name=text(payload, "name"),
        description=text(payload, "description"),
        status=text(payload, "status"),
        tags=tag_list("tags", payload.get("tags")),
        details={name: payload[name] for name in REPORT_DETAILS if payload.get(name) not in (None, "", [], {})},
    )


def json_or_form(content_type: str, body: bytes) -> dict[str, Any]:
    """The members of a body by its media type; without one it is taken for JSON."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        return _form(body)
    if media_type in {"", "application/json", "text/json"}:
        return _json_object(body)
    raise UnsupportedMediaType(
        "UNSUPPORTED_MEDIA_TYPE", "Send this as application/json or application/x-www-form-urlencoded."
    )


def tags(value: Any) -> Tags:
    """`{"assets": […], "findings": […]}`, as an object or as JSON text; absent or empty is none."""
    decoded = _json_text(value) if isinstance(value, str) and value else value
    if decoded is None or decoded == "":
        return Tags()
    if not isinstance(decoded, Mapping):
        raise InvalidArgument(
            "INVALID_TAGS", 'tags must be {"assets": [...], "findings": [...]}, as JSON text or as an object.'
        )
    return Tags(
        assets=tag_list("tags.assets", decoded.get("assets")),
        findings=tag_list("tags.findings", decoded.get("findings")),
    )


def tag_list(name: str, value: Any) -> tuple[str, ...]:
    """A list of texts; a text alone is JSON or separated by commas."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = _json_text(value) if value.lstrip().startswith("[") else value.split(",")
    if not isinstance(value, Sequence) or not all(isinstance(tag, str) for tag in value):
        raise InvalidArgument("INVALID_TAGS", f"{name} must be a list of texts.", field=name)
    return tuple(value)


def flag(name: str, value: Any) -> bool:
    """A boolean or its text; absent is false."""
    word = "" if value is None else str(value).strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise InvalidArgument("INVALID_FLAG", f"{name} must be true or false.", field=name)


def text(payload: Mapping[str, Any], *names: str) -> str:
    """The first of these members that is there; its use case says whether it may be empty."""
    for name in names:
        value = payload.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise InvalidArgument("FIELD_NOT_TEXT", f"{name} must be a text.", field=name)
        return value
    return ""


def _size(value: Any) -> int:
    """A number of bytes or its digits; anything else says nothing."""
    try:
        return max(int(value), 0)
    except (TypeError, ValueError, OverflowError):
        return 0


def _json_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidArgument("INVALID_TAGS", "tags is no valid JSON.") from None


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise InvalidArgument("INVALID_JSON", "The body is no valid JSON.") from None
    if not isinstance(payload, dict):
        raise InvalidArgument("INVALID_JSON", "The body must be a JSON object.")
    return payload


def _form(body: bytes) -> dict[str, Any]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS))
    except ValueError:  # Not UTF-8, or too many fields.
        raise InvalidArgument("INVALID_FORM", "The body is no valid form.") from None
