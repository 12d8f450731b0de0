"""Requests for what is not the caller's, made from the right ones: the ids of another place in all ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from uuid import UUID

from google.protobuf.message import Message

from hythe.dialects.plextrac.v2 import plextrac_pb2 as plextrac
from hythe.importer.v1 import import_sources_pb2 as sources
from hythe.importer.v1 import parser_actions_pb2 as actions
from hythe.importer.v1 import webhooks_pb2 as webhooks
from hythe.status.v1 import status_pb2 as status
from tests.e2e.matrix_requests import Entry, page
from tests.e2e.matrix_world import Place

CLIENT_IDS = {"client_id", "report_id", "flaw_id", "asset_id", "import_id", "id", "webhook_id", "delivery_id"}
TENANT_IDS = {
    "key", "file_id", "user_id", "api_key_id", "workspace", "workspace_id", "tenant_id", "action_id", "writeup_id",
    "import_source_id", "execution_id", "object_schema_id", "resource_id", "schedule_id", "id",
}  # fmt: skip
# Ids that nothing has, to see that a foreign one is answered like these.
NO_NUMBER, NO_UUID, NO_KEY = 2**31 - 2, str(UUID(int=7)), "c000000000000000000000000/none.nessus"

UUIDS = {
    "import_id", "id", "workspace", "workspace_id", "delivery_id", "import_source_id", "execution_id", "resource_id",
    "schedule_id",
}  # fmt: skip

# Lists that begin behind something, or contain only something: asked at one's own place, with an id of a foreign one.
SELECTIONS: Mapping[str, Callable[[Place, Place], Message]] = {
    "StatusService/ListImports": lambda _, foreign: status.ListImportsRequest(page_token=foreign.imports["viewer"]),
    "StatusService/ListTenantImports": lambda _, foreign: status.ListTenantImportsRequest(
        page_token=foreign.imports["viewer"]
    ),
    "WebhookService/ListDeliveries": lambda _, foreign: webhooks.ListDeliveriesRequest(page_token=foreign.delivery_id),
    "ParserActionService/ListParserActions": lambda _, foreign: actions.ListParserActionsRequest(
        source="nessus", page_token=foreign.tenant.action_id
    ),
    "ParserActionService/ListWriteups": lambda _, foreign: actions.ListWriteupsRequest(
        page_token=str(foreign.tenant.writeup_id)
    ),
    "PlextracStatus/ListMyImports": lambda _, foreign: plextrac.ListMyImportsRequest(
        page_token=foreign.imports["viewer"]
    ),
    "PlextracStatus/ListClients": lambda _, foreign: plextrac.ListRequest(payload=page(client_id=[foreign.client_id])),
    "PlextracStatus/ListReports": lambda _, foreign: plextrac.ListRequest(payload=page(clients=[foreign.client_id])),
    "PlextracStatus/ListTenantAssets": lambda _, foreign: plextrac.ListRequest(
        payload=page(client_id=[foreign.client_id])
    ),
}


def stranger_requests(entry: Entry, own: Place, foreign: Place, names: set[str]) -> Iterator[tuple[str, Message]]:
    """Requests for a foreign place: all its ids, and each of the ids `names` alone among one's own."""
    yield "all", entry.build(foreign)
    mine, theirs = entry.build(own), entry.build(foreign)
    if isinstance(mine, sources.CreateObjectSchemaRequest):
        # What an upload is known by is a word of the caller's own here.
        names = names - {"key"}
    for name in sorted(names & set(mine.DESCRIPTOR.fields_by_name)):
        changed = type(mine)()
        changed.CopyFrom(mine)
        setattr(changed, name, getattr(theirs, name))
        yield name, changed
    if "key" in names and isinstance(mine, plextrac.StartImportRequest):
        mine.payload["key"] = foreign.key
        yield "key", mine


def nowhere(request: Message, names: set[str]) -> Message:
    """The same request for what does not exist."""
    changed = type(request)()
    changed.CopyFrom(request)
    for name in names & {field.name for field, _ in request.ListFields()}:
        if name in UUIDS and not (name == "id" and getattr(request, name).isdecimal()):
            setattr(changed, name, NO_UUID)
        elif name == "key":
            changed.key = NO_KEY  # type: ignore[attr-defined]
        else:
            setattr(changed, name, str(NO_NUMBER) if isinstance(getattr(changed, name), str) else NO_NUMBER)
    return changed
