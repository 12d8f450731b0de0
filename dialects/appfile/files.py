"""A file as answers show it: in `Data`, and in the member `File` of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file of a workspace, with what was said of it when its URL was asked for."""

    key: str
    """`<file id>/<safe name>`."""
    file_name: str
    workspace_id: str
    bucket_id: str
    entity_type: str = ""
    folder: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file_id(self) -> str:
        return self.key.partition("/")[0]

    @property
    def path(self) -> str:
        """`//<bucket>/<folder>/<file id>/<name>`: in the published shape, and no address in the object store."""
        folder = self.folder.strip("/")
        return f"//{self.bucket_id}/{f'{folder}/' if folder else ''}{self.key}"


def file_data(file: ShownFile, action_id: str, url: str = "", **more: Any) -> dict[str, Any]:
    """The `Data` of an answer. `url` is a credential and there before the upload only; `more` are members of `File`."""
    return {
        "ActionId": action_id,
        "File": {**file_members(file), "Url": url, **more},
        "FileId": file.file_id,
        "FilePath": file.path,
        "Url": url,
    }


def file_members(file: ShownFile) -> dict[str, Any]:
    """What is known of a file whatever has become of it."""
    return {
        "FileId": file.file_id,
        "FileName": file.file_name,
        "FilePath": file.path,
        "WorkspaceId": file.workspace_id,
        "BucketId": file.bucket_id,
        "EntityType": file.entity_type,
        "Folder": file.folder,
        "Category": file.category,
        "Tags": list(file.tags),
        "Metadata": dict(file.metadata),
    }
