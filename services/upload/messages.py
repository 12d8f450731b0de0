"""Uploads and their parts as the native API says them."""

from __future__ import annotations

from hythe.upload.v1 import upload_pb2
from runtime.timestamps import timestamp
from services.upload.model import Part, Upload


def upload_message(upload: Upload) -> upload_pb2.Upload:
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
