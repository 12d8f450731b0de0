"""The parts of the importer's API that serve the Assets API: adapters, use cases, servicers, duties."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import grpc

from dialects.assets.links import Links
from runtime.container_tokens import RemoteContainerTokens
from runtime.database import Database
from runtime.objects import ObjectStore
from runtime.outbound import Outbound
from runtime.sealing import Sealer
from runtime.standings import RemoteStandings
from runtime.workspaces import RemoteWorkspaces
from services.importer.assets.chunks import Chunks
from services.importer.assets.executions import Executions
from services.importer.assets.firing import Firing
from services.importer.assets.import_sources import ImportSources
from services.importer.assets.mapping_rules import FormatRules
from services.importer.assets.mappings import Mappings
from services.importer.assets.object_edits import ObjectEdits
from services.importer.assets.object_schemas import ObjectSchemas
from services.importer.assets.openings import Openings
from services.importer.assets.schedules import Schedules
from services.importer.assets.starts import Rules, Starts
from services.importer.assets.tokens import Tokens
from services.importer.commands import Commands
from services.importer.dialects.assets import AssetsImporter
from services.importer.dialects.assets_sources import SourceUseCases
from services.importer.dispatcher import Duty
from services.importer.import_source_service import ImportSourceService
from services.importer.imports import Thresholds
from services.importer.repeats import Repeats
from services.importer.settings import ImporterSettings
from services.importer.store.assets_executions import SqlRunStore
from services.importer.store.assets_objects import SqlObjectStore
from services.importer.store.assets_schedules import SqlRunWatch, SqlScheduleStore
from services.importer.store.assets_sources import SqlSourceStore
from services.importer.store.imports import SqlImportStore


@dataclass(frozen=True, slots=True)
class Foundations:
    """What the rest of the service is built of, too."""

    database: Database
    dispatch_database: Database
    objects: ObjectStore
    identity: grpc.aio.Channel
    imports: SqlImportStore
    commands: Commands
    repeats: Repeats
    thresholds: Thresholds
    outbound: Outbound
    sealer: Sealer


@dataclass(frozen=True, slots=True)
class AssetsParts:
    """Both faces of import sources, and what the active dispatcher does for them."""

    importer: AssetsImporter
    sources: ImportSourceService
    duties: tuple[Duty, ...]


def assets_parts(on: Foundations, settings: ImporterSettings) -> AssetsParts:
    workspaces, links = RemoteWorkspaces(on.identity, "assets"), Links(str(settings.public_url).rstrip("/"))
    store, runs, timetables = SqlSourceStore(on.database), SqlRunStore(on.database), SqlScheduleStore(on.database)
    formats = FormatRules()
    schemas = ObjectSchemas(store, workspaces)
    sources = ImportSources(store, workspaces, on.sealer, formats)
    mappings = Mappings(store, workspaces, formats, on.objects)
    tokens = Tokens(sources, store, RemoteContainerTokens(on.identity))
    rules = Rules(
        settings.max_running_executions,
        timedelta(seconds=settings.open_execution_seconds),
        timedelta(seconds=settings.longest_open_execution_seconds),
    )
    starts = Starts(on.imports, on.objects, on.thresholds, rules)
    executions = Executions(runs, starts, workspaces, on.commands, on.repeats, rules)
    chunks = Chunks(runs, on.imports, on.objects, executions, on.thresholds, rules, settings.max_chunk_bytes)
    schedules = Schedules(timetables, executions, on.outbound)
    edits = ObjectEdits(SqlObjectStore(on.database), workspaces)
    watch = SqlRunWatch(on.dispatch_database)
    standings = RemoteStandings(on.identity)
    firing = Firing(watch, timetables, runs, starts, standings, on.outbound, settings.dispatch_poll_seconds)
    return AssetsParts(
        AssetsImporter(SourceUseCases(schemas, sources, mappings, tokens), executions, chunks, schedules, edits, links),
        ImportSourceService(schemas, sources, mappings, tokens),
        (Openings(watch, runs, rules).run, firing.run),
    )
