"""The one decoder of request bodies: objects whose members are spelled in PascalCase or in camelCase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from dialects.appfile.choices import Choices, choices
from dialects.appfile.members import Members
from runtime.errors import InvalidArgument

MOST_RECORDS = 1_000
CC5 = "cc5"
"""The source of sync files, in text or in JSON: the file itself tells."""
JSON_TWIN = "json"
"""What the portal calls their JSON form."""
FILE_TYPES = (CC5, JSON_TWIN)
"""Values of FileType."""
IMPORT_DATA = frozenset({"ImportData", "importData"})


@dataclass(frozen=True, slots=True)
class PathBody:
    """A file that a URL is wanted for. Empty texts: not said."""

    workspace: str
    bucket_id: str
    file_name: str
    entity_type: str
    folder: str
    category: str
    tags: tuple[str, ...]
    metadata: dict[str, Any]
    action_id: str
    description: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ImportBody:
    """A file that is to be imported. `file_id` is taken from the path where only that is said."""

    action_id: str
    description: str
    file_id: str
    choices: Choices


@dataclass(frozen=True, slots=True)
class Batch:
    """A sync file in its JSON form, of which the header is looked at and the records are counted only."""

    workspace: str
    bucket_id: str
    entity_type: str
    reference_id: str
    action_id: str
    description: str
    choices: Choices


def path_body(payload: Mapping[str, Any]) -> PathBody:
    """Published members, and of ours `Size` and `Sha256` of the file, which then are checked."""
    members = Members(payload)
    return PathBody(
        workspace=members.text("WorkspaceId"),
        bucket_id=members.text("BucketId"),
        file_name=members.text("FileName"),
        entity_type=members.text("EntityType"),
        folder=members.text("Folder"),
        category=members.text("Category"),
        tags=members.texts("Tags"),
        metadata=members.object("Metadata"),
        action_id=members.text("ActionId"),
        description=members.text("Description"),
        size_bytes=members.whole("Size") or 0,
        sha256=members.text("Sha256"),
    )


def import_body(payload: Mapping[str, Any]) -> ImportBody:
    members = Members(payload)
    if members.text("FileType").strip().lower() not in FILE_TYPES:
        known = " or ".join(FILE_TYPES)
        raise InvalidArgument("FILE_TYPE_UNSUPPORTED", f"FileType must be {known}.", field="FileType", known=known)
    return ImportBody(
        action_id=members.text("ActionId"),
        description=members.text("Description"),
        file_id=named_file(members.text("FileId").strip(), members.text("FilePath").strip()),
        choices=choices(members),
    )


def named_file(file_id: str, path: str) -> str:
    """The id, or else the one in the path, `//<bucket>/…/<file id>/<name>`. They must not name two files."""
    in_path = path.strip("/").split("/")[-2] if path.strip("/").count("/") else ""
    if not file_id and not in_path:
        raise InvalidArgument("FIELD_REQUIRED", "FileId is required.", field="FileId")
    if file_id and path and in_path != file_id:
        raise InvalidArgument("FILE_PATH_MISMATCH", "FilePath is not the path of FileId.", field="FilePath")
    return file_id or in_path


def batch_body(body: bytes) -> Batch:
    """`ImportData`; beside it may stand what an import of a file may say as well."""
    try:
        members = Members(_object(body))
        data = Members(_object(members.get("ImportData")))
        header = Members(_object(data.get("Header")))
        metadata = Members(_values(header.get("Metadata")))
        count = sum(len(_rows(data.get(name))) for name in ("Data", "Delete"))
        reference = Members({"InstanceId": msgspec.json.decode(data.get("InstanceId") or b"null")}).text("InstanceId")
        said = Members({name: msgspec.json.decode(value) for name, value in members.all() if name not in IMPORT_DATA})
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArgument("INVALID_JSON", f"The body is not a sync file in its JSON form: {error}.") from None
    if not 1 <= count <= MOST_RECORDS:
        raise InvalidArgument(
            "RECORD_COUNT_INVALID",
            f"ImportData must have 1 to {MOST_RECORDS} records and has {count}. Send more of them as a file.",
            field="ImportData",
            limit=str(MOST_RECORDS),
        )
    return Batch(
        workspace=metadata.text("WorkspaceId"),
        bucket_id=metadata.text("BucketId"),
        entity_type=metadata.text("EntityType"),
        reference_id=reference,
        action_id=said.text("ActionId"),
        description=said.text("Description"),
        choices=choices(said),
    )


def _object(text: bytes | None) -> dict[str, msgspec.Raw]:
    """The members of an object, undecoded; an absent one is empty. Raises msgspec.DecodeError."""
    return msgspec.json.decode(text or b"{}", type=dict[str, msgspec.Raw])


def _values(text: bytes | None) -> dict[str, Any]:
    return msgspec.json.decode(text or b"{}", type=dict[str, Any])


def _rows(text: bytes | None) -> list[msgspec.Raw]:
    if text is None or bytes(text) == b"null":
        return []
    return msgspec.json.decode(text, type=list[msgspec.Raw])
