"""The Assets API of the importer: import sources, their runs, and objects that people edit."""

from __future__ import annotations

from dialects.assets.links import Links
from hythe.dialects.assets.v1.assets_pb2_grpc import AssetsImporterServicer
from services.importer.assets.chunks import Chunks
from services.importer.assets.executions import Executions
from services.importer.assets.object_edits import ObjectEdits
from services.importer.assets.schedules import Schedules
from services.importer.dialects.assets_executions import AssetsExecutions
from services.importer.dialects.assets_objects import AssetsObjectEdits
from services.importer.dialects.assets_sources import AssetsSources, SourceUseCases


class AssetsImporter(AssetsSources, AssetsExecutions, AssetsObjectEdits, AssetsImporterServicer):
    """One service of the contract, in three parts."""

    def __init__(
        self,
        sources: SourceUseCases,
        executions: Executions,
        chunks: Chunks,
        schedules: Schedules,
        edits: ObjectEdits,
        links: Links,
    ) -> None:
        AssetsSources.__init__(self, sources, links)
        AssetsExecutions.__init__(self, executions, chunks, schedules, links)
        AssetsObjectEdits.__init__(self, edits, links)
