"""What a job asks of a file of records besides its syntax. It goes to the parser child with the order."""

from __future__ import annotations

import msgspec

from services.importer.targets.records.schemas import RecordSchema, find_schema


class Demands(msgspec.Struct, frozen=True, tag="records"):
    """Of one import; the defaults are those of a file that is only looked at.

    `workspaces` are the names of which row 01 must say one (id and name of the same workspace), `bucket` is what it
    must say; where nothing is given, any is taken. Without `require_footer` a missing footer and a wrong control total
    are cautions. `schemas` are all that the workspace knows; a file of another entity or data source is read without
    one.
    """

    workspaces: tuple[str, ...] = ()
    bucket: str = ""
    require_footer: bool = True
    schemas: tuple[RecordSchema, ...] = ()

    def schema_of(self, entity_type: str, data_source: str) -> RecordSchema | None:
        """The schema of such files, if there is one."""
        return find_schema(self.schemas, entity_type, data_source)
