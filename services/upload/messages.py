"""Uploads and their parts as the native API says them."""

from __future__ import annotations

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from hythe.upload.v1 import upload_pb2
from runtime.timestamps import timestamp
from services.upload.model import Description, Part, RecordFile, Upload


def upload_message(upload: Upload, record_file: RecordFile | None = None) -> upload_pb2.Upload:
    file, plan = upload.file, upload.file.plan
    return upload_pb2.Upload(
        key=file.key,
        file_name=file.file_name,
        create_time=timestamp(file.created_at),
        expire_time=timestamp(file.expires_at),
        uploaded=upload.size_bytes is not None,
        size_bytes=upload.size_bytes or 0,
        part_size_bytes=plan.part_size if plan else 0,
        part_count=plan.count if plan else 0,
        sha256=file.sha256.hex() if file.sha256 else "",
        record_file=record_file_message(record_file) if record_file else None,
    )


def record_file_message(file: RecordFile) -> upload_pb2.RecordFile:
    said = file.description
    return upload_pb2.RecordFile(
        file_id=file.file_id,
        workspace=str(file.workspace_id),
        bucket_id=file.bucket_id,
        entity_type=said.entity_type,
        folder=said.folder,
        category=said.category,
        tags=said.tags,
        metadata=ParseDict(said.metadata, Struct()),
        action_id=said.action_id,
        description=said.description,
    )


def description_of(message: upload_pb2.RecordFile) -> Description:
    return Description(
        action_id=message.action_id,
        entity_type=message.entity_type,
        folder=message.folder,
        category=message.category,
        tags=tuple(message.tags),
        metadata=MessageToDict(message.metadata),
        description=message.description,
    )


def part_message(part: Part) -> upload_pb2.Part:
    return upload_pb2.Part(
        number=part.number,
        offset=part.offset,
        size_bytes=part.size_bytes,
        uploaded=part.is_uploaded,
        url=part.url or "",
        expire_time=timestamp(part.expires_at) if part.expires_at else None,
    )
