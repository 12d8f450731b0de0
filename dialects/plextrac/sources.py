"""What can be imported, and what a file is: shapes of ours, which PlexTrac has no routes for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hythe.importer.v1 import importer_pb2

FINDINGS, ASSETS = "findings", "assets"


def source_list(sources: Iterable[importer_pb2.Source]) -> dict[str, Any]:
    """The answer of `GET /api/v2/sources`, without those that bring neither findings nor assets."""
    ours = [each for each in sources if each.brings_findings or each.brings_assets]
    return {"status": "success", "sources": [_source(each) for each in ours]}


def detected_sources(detection: importer_pb2.DetectSourceResponse) -> dict[str, Any]:
    """The answer of `POST /api/v2/sources/detect`."""
    return {
        "status": "success",
        "look": detection.look,
        "sources": [
            {
                "source": each.source,
                "name": each.display_name,
                "imports": ASSETS if each.assets_only else FINDINGS,
                "format": _file_format(each.format),
                "member": each.member or None,
            }
            for each in detection.sources
        ],
    }


def _source(source: importer_pb2.Source) -> dict[str, Any]:
    brings = ((FINDINGS, source.brings_findings), (ASSETS, source.brings_assets))
    return {
        "source": source.source,
        "name": source.display_name,
        "imports": [what for what, is_brought in brings if is_brought],
        "extensions": list(source.extensions),
        "formats": [_file_format(each) for each in source.file_formats],
    }


def _file_format(format_: importer_pb2.FileFormat) -> dict[str, Any]:
    return {
        "name": format_.name,
        "title": format_.title,
        "syntax": format_.syntax,
        "extensions": list(format_.extensions),
        "imports": ASSETS if format_.assets_only else FINDINGS,
    }
