"""Absolute links to the routes of the Assets API, with the origin that clients reach us by.

Clients follow them and read ids out of their paths, so the paths are those of the published base.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Links:
    """`public_url` is the origin of the gateway, without a slash at its end."""

    public_url: str

    def workspace(self, workspace_id: UUID) -> str:
        return f"{self.public_url}/jsm/assets/workspace/{workspace_id}/v1"

    def source(self, workspace_id: UUID, import_source_id: UUID) -> str:
        return f"{self.workspace(workspace_id)}/importsource/{import_source_id}"

    def execution(self, workspace_id: UUID, import_source_id: UUID, execution_id: UUID) -> str:
        return f"{self.source(workspace_id, import_source_id)}/executions/{execution_id}"

    def of_source(self, workspace_id: UUID, import_source_id: UUID) -> dict[str, str]:
        """Where the holder of a container token begins."""
        source = self.source(workspace_id, import_source_id)
        return {
            "getStatus": f"{source}/configstatus",
            "start": f"{source}/executions",
            "mapping": f"{source}/mapping",
        }

    def of_execution(self, workspace_id: UUID, import_source_id: UUID, execution_id: UUID) -> dict[str, str]:
        """What is to be done with a run that data is sent to."""
        execution = self.execution(workspace_id, import_source_id, execution_id)
        return {
            "submitProgress": f"{execution}/progress",
            "submitResults": f"{execution}/data",
            "getExecutionStatus": f"{execution}/status",
            "cancel": execution,
        }

    def mapping_progress(self, workspace_id: UUID, import_source_id: UUID, resource_id: UUID) -> str:
        """How a change of the mapping ended."""
        return f"{self.source(workspace_id, import_source_id)}/mapping/progress/{resource_id}"
