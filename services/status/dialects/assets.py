"""The Assets API of the status service: runs of import sources, and the objects that they have brought."""

from __future__ import annotations

from dialects.assets.links import Links
from hythe.dialects.assets.v1.assets_pb2_grpc import AssetsStatusServicer
from services.status.dialects.assets_executions import AssetsExecutions
from services.status.dialects.assets_objects import AssetsObjects
from services.status.dialects.assets_types import AssetsTypes
from services.status.executions import Executions
from services.status.object_types import ObjectTypes
from services.status.objects import Objects


class AssetsStatus(AssetsExecutions, AssetsTypes, AssetsObjects, AssetsStatusServicer):
    """One service of the contract, in three parts."""

    def __init__(self, executions: Executions, types: ObjectTypes, objects: Objects, links: Links) -> None:
        AssetsExecutions.__init__(self, executions, links)
        AssetsTypes.__init__(self, types, links)
        AssetsObjects.__init__(self, objects, links)
