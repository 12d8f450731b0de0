"""The table of right requests: one for every RPC. An RPC without one fails the test."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from hythe.dialects.assets.v1 import assets_pb2 as assets
from hythe.dialects.plextrac.v2 import parser_actions_pb2 as parser
from hythe.dialects.plextrac.v2 import plextrac_pb2 as plextrac
from hythe.identity.v1 import identity_pb2 as identity
from hythe.identity.v1 import well_known_pb2 as well_known
from hythe.importer.v1 import importer_pb2 as importer
from hythe.importer.v1 import parser_actions_pb2 as actions
from hythe.importer.v1 import schemas_pb2 as schemas
from hythe.importer.v1 import webhooks_pb2 as webhooks
from hythe.status.v1 import status_pb2 as status
from hythe.upload.v1 import upload_pb2 as upload
from tests.e2e.matrix_actions import new_action, new_writeup
from tests.e2e.matrix_assets import DONE, FILTERS, REFUSED, SHOWN, of_execution
from tests.e2e.matrix_records import REQUESTS, REQUESTS_WITH_IDS
from tests.e2e.matrix_schemas import DATA_SOURCE, new_schema
from tests.e2e.matrix_world import VIEWER, Person, Place, scan

NMAP = b"""<?xml version="1.0"?><nmaprun scanner="nmap" start="1700000000" version="7.94"><host><status state="up"/>
<address addr="192.0.2.7" addrtype="ipv4"/></host></nmaprun>"""
BOUNDARY = "matrix-boundary"


class Owner(Enum):
    """Whose the ids of a request are."""

    CLIENT = auto()
    TENANT = auto()
    NOBODY = auto()
    """There are none: the answer is the caller's own."""


@dataclass(frozen=True)
class Entry:
    """`build` makes the request of whoever calls at a place."""

    build: Callable[[Place], Message]
    owner: Owner = Owner.NOBODY
    shows: bool = False
    """Whether the answer to the right caller bears the mark of the place."""
    says: str = "OK"
    """What the right caller is told. Not OK: the call fails by its own check, behind authorization."""
    says_granted: str = "OK"
    """The same, for one who may see certain clients only; of requests without ids."""
    only_by_token: bool = False
    empty_for: frozenset[str] = frozenset()
    """Ids that select within what the caller may see; a foreign one selects nothing."""


def page(**filters: Any) -> Struct:
    body = Struct()
    wanted = [{"by": name, "value": value} for name, value in filters.items()]
    body.update({"pagination": {"offset": 0, "limit": 100}, "filters": wanted})
    return body


def struct(**members: Any) -> Struct:
    body = Struct()
    body.update(members)
    return body


def form(data: bytes) -> HttpBody:
    """One file as multipart."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="scan"\r\n\r\n'
    return HttpBody(
        content_type=f"multipart/form-data; boundary={BOUNDARY}",
        data=head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode(),
    )


def random_email(place: Place) -> str:
    return f"{secrets.token_hex(6)}@{place.tenant.mark}.example"


def ids(place: Place, *names: str) -> dict[str, Any]:
    """These fields of the place."""
    return {name: getattr(place, name) for name in names}


def report(place: Place) -> dict[str, Any]:
    return ids(place, "client_id", "report_id")


def credentials(place: Place) -> dict[str, str]:
    admin: Person = place.tenant.people["admin"]
    return {"username": admin.email, "password": admin.password}


def parser_tenant(place: Place) -> dict[str, Any]:
    return {"tenant_id": place.tenant.tenant_id, "source": "nessus"}


CLIENT, TENANT = Owner.CLIENT, Owner.TENANT

UPLOAD: Mapping[str, Entry] = {
    "UploadService/CreateUpload": Entry(lambda _: upload.CreateUploadRequest(file_name="matrix.nessus")),
    "UploadService/CreateMultipartUpload": Entry(
        lambda _: upload.CreateMultipartUploadRequest(file_name="matrix.nessus", size_bytes=1)
    ),
    "UploadService/ListParts": Entry(lambda p: upload.ListPartsRequest(key=p.begun_key), TENANT, shows=True),
    # No part has come.
    "UploadService/CompleteMultipartUpload": Entry(
        lambda p: upload.CompleteMultipartUploadRequest(key=p.begun_key),
        TENANT,
        says="FAILED_PRECONDITION",
        says_granted="FAILED_PRECONDITION",
    ),
    "UploadService/AbortMultipartUpload": Entry(
        lambda p: upload.AbortMultipartUploadRequest(key=p.aborted_key), TENANT
    ),
    "UploadService/GetUpload": Entry(lambda p: upload.GetUploadRequest(key=p.key), TENANT, shows=True),
    "PlextracUpload/CreatePresignedUrl": Entry(
        lambda _: plextrac.CreatePresignedUrlRequest(payload=struct(name="matrix.nessus"))
    ),
    "PlextracUpload/CreateMultipart": Entry(
        lambda _: plextrac.MultipartUploadRequest(payload=struct(name="matrix.nessus", size=1))
    ),
    "PlextracUpload/ListMultipartParts": Entry(lambda p: plextrac.MultipartParts(key=p.begun_key), TENANT, shows=True),
    "PlextracUpload/CompleteMultipart": Entry(
        lambda p: plextrac.MultipartUploadKey(key=p.begun_key),
        TENANT,
        says="FAILED_PRECONDITION",
        says_granted="FAILED_PRECONDITION",
    ),
    "PlextracUpload/AbortMultipart": Entry(lambda p: plextrac.MultipartUploadKey(key=p.aborted_key), TENANT),
    "PlextracUpload/ImportFile": Entry(
        lambda p: plextrac.FileChunk(**report(p), source="nessus", content=form(scan(p.mark, p.flaw_id))), CLIENT
    ),
    "PlextracUpload/ImportFileAsync": Entry(
        lambda p: plextrac.FileChunk(**report(p), source="nessus", content=form(scan(p.mark, p.flaw_id))), CLIENT
    ),
    "PlextracUpload/LearnParserActions": Entry(
        lambda p: plextrac.ParserActionsChunk(**parser_tenant(p), content=form(scan(p.mark, p.flaw_id))),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    "PlextracUpload/ImportAssets": Entry(
        lambda p: plextrac.AssetFileChunk(client_id=p.client_id, source="nmap", content=form(NMAP)), CLIENT
    ),
}

IMPORTER: Mapping[str, Entry] = {
    "ImportService/CreateImport": Entry(
        lambda p: importer.CreateImportRequest(**report(p), source="nessus", key=p.key, request_id="matrix"),
        CLIENT,
        shows=True,
    ),
    "ImportService/CancelImport": Entry(
        lambda p: importer.CancelImportRequest(import_id=p.imports["importer"]), CLIENT, says="FAILED_PRECONDITION"
    ),
    "ImportService/RequeueImport": Entry(
        lambda p: importer.RequeueImportRequest(import_id=p.imports["importer"]), CLIENT, says="FAILED_PRECONDITION"
    ),
    "ImportService/PauseImport": Entry(
        lambda p: importer.PauseImportRequest(import_id=p.imports["importer"]), CLIENT, says="FAILED_PRECONDITION"
    ),
    "ImportService/ResumeImport": Entry(
        lambda p: importer.ResumeImportRequest(import_id=p.imports["importer"]), CLIENT, says="FAILED_PRECONDITION"
    ),
    "ImportService/RetryImport": Entry(
        lambda p: importer.RetryImportRequest(import_id=p.imports["importer"]), CLIENT, says="FAILED_PRECONDITION"
    ),
    "ImportService/RerunImport": Entry(
        lambda p: importer.RerunImportRequest(import_id=p.imports["importer"]), CLIENT, shows=True
    ),
    "ImportService/UndoImport": Entry(
        lambda p: importer.UndoImportRequest(import_id=p.imports["importer"], dry_run=True), CLIENT, shows=True
    ),
    "ImportService/ListSources": Entry(lambda _: importer.ListSourcesRequest()),
    "ImportService/DetectSource": Entry(lambda _: importer.DetectSourceRequest(head=NMAP)),
    "ImportService/CreateClient": Entry(
        lambda p: importer.CreateClientRequest(name=f"{p.tenant.mark} matrix"), says_granted="PERMISSION_DENIED"
    ),
    "ImportService/CreateReport": Entry(
        lambda p: importer.CreateReportRequest(client_id=p.client_id, name=f"{p.mark} matrix"), CLIENT
    ),
    "ImportService/SetLimits": Entry(lambda p: importer.SetLimitsRequest(tenant_id=p.tenant.spare_tenant)),
    "PlextracImporter/StartImport": Entry(
        lambda p: plextrac.StartImportRequest(
            **report(p), source="nessus", payload=struct(key=p.key, fileName=f"{p.mark}.nessus")
        ),
        CLIENT,
        shows=True,
    ),
    "PlextracImporter/CancelMyImport": Entry(
        lambda p: plextrac.CancelMyImportRequest(id=p.imports["importer"]), CLIENT, says="FAILED_PRECONDITION"
    ),
    "PlextracImporter/PauseMyImport": Entry(
        lambda p: plextrac.MyImportCommand(id=p.imports["importer"]), CLIENT, says="FAILED_PRECONDITION"
    ),
    "PlextracImporter/ResumeMyImport": Entry(
        lambda p: plextrac.MyImportCommand(id=p.imports["importer"]), CLIENT, says="FAILED_PRECONDITION"
    ),
    "PlextracImporter/RetryMyImport": Entry(
        lambda p: plextrac.MyImportCommand(id=p.imports["importer"]), CLIENT, says="FAILED_PRECONDITION"
    ),
    "PlextracImporter/RerunMyImport": Entry(
        lambda p: plextrac.MyImportCommandWithBody(id=p.imports["importer"]), CLIENT, shows=True
    ),
    "PlextracImporter/UndoMyImport": Entry(
        lambda p: plextrac.MyImportCommandWithBody(id=p.imports["importer"], payload=struct(dryRun=True)),
        CLIENT,
        shows=True,
    ),
    "PlextracImporter/ListSources": Entry(lambda _: plextrac.Empty()),
    "PlextracImporter/DetectSource": Entry(
        lambda _: plextrac.DetectSourceRequest(content=HttpBody(content_type="application/octet-stream", data=NMAP))
    ),
    "PlextracImporter/CreateClient": Entry(
        lambda p: plextrac.CreateClientRequest(payload=struct(name=f"{p.tenant.mark} matrix")),
        says_granted="PERMISSION_DENIED",
    ),
    "PlextracImporter/CreateReport": Entry(
        lambda p: plextrac.CreateReportRequest(
            client_id=p.client_id,
            content=HttpBody(content_type="application/json", data=json.dumps({"name": f"{p.mark} matrix"}).encode()),
        ),
        CLIENT,
    ),
}

WEBHOOKS: Mapping[str, Entry] = {
    "WebhookService/CreateWebhook": Entry(
        lambda p: webhooks.CreateWebhookRequest(
            # Nothing is ever cancelled here, so nothing is sent there.
            webhook=webhooks.Webhook(
                url="https://receiver.example/",
                description=p.mark,
                client_id=p.client_id,
                states=[importer.STATE_CANCELLED],
            )
        ),
        shows=True,
    ),
    "WebhookService/ListWebhooks": Entry(lambda _: webhooks.ListWebhooksRequest(), shows=True),
    "WebhookService/DeleteWebhook": Entry(
        lambda p: webhooks.DeleteWebhookRequest(webhook_id=p.spare_webhook()), CLIENT
    ),
    "WebhookService/ListDeliveries": Entry(lambda p: webhooks.ListDeliveriesRequest(webhook_id=p.webhook_id), CLIENT),
    "WebhookService/ReplayDelivery": Entry(lambda p: webhooks.ReplayDeliveryRequest(delivery_id=p.delivery_id), CLIENT),
}

# What changes actions is not for those who may see certain clients only.
PARSER_ACTIONS: Mapping[str, Entry] = {
    "ParserActionService/GetParserActionSettings": Entry(lambda _: actions.GetParserActionSettingsRequest()),
    "ParserActionService/SetParserActionSettings": Entry(
        lambda _: actions.SetParserActionSettingsRequest(settings=actions.ParserActionSettings(enabled=True)),
        says_granted="PERMISSION_DENIED",
    ),
    "ParserActionService/ListParserActions": Entry(
        lambda _: actions.ListParserActionsRequest(source="nessus", page_size=1_000), shows=True
    ),
    "ParserActionService/GetParserAction": Entry(
        lambda p: actions.GetParserActionRequest(source="nessus", action_id=p.tenant.action_id), TENANT, shows=True
    ),
    "ParserActionService/CreateParserAction": Entry(
        lambda p: actions.CreateParserActionRequest(action=new_action(p.tenant.mark)), says_granted="PERMISSION_DENIED"
    ),
    "ParserActionService/UpdateParserActions": Entry(
        lambda p: actions.UpdateParserActionsRequest(
            source="nessus",
            updates=[actions.ParserActionUpdate(action_id=p.tenant.action_id, action=actions.ACTION_CODE_PASS_THROUGH)],
        ),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    "ParserActionService/LearnParserActions": Entry(
        lambda p: actions.LearnParserActionsRequest(source="nessus", key=p.key),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    "ParserActionService/ListWriteups": Entry(lambda _: actions.ListWriteupsRequest(page_size=1_000), shows=True),
    "ParserActionService/GetWriteup": Entry(
        lambda p: actions.GetWriteupRequest(writeup_id=p.tenant.writeup_id), TENANT, shows=True
    ),
    "ParserActionService/CreateWriteup": Entry(
        lambda p: actions.CreateWriteupRequest(writeup=new_writeup(p.tenant.mark)), says_granted="PERMISSION_DENIED"
    ),
    "ParserActionService/UpdateWriteup": Entry(
        lambda p: actions.UpdateWriteupRequest(writeup=new_writeup(p.tenant.mark, p.tenant.writeup_id)),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    "ParserActionService/DeleteWriteup": Entry(
        lambda p: actions.DeleteWriteupRequest(writeup_id=p.tenant.spare_writeup()),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    "PlextracParserActions/ListParsers": Entry(lambda p: parser.TenantRequest(tenant_id=p.tenant.tenant_id), TENANT),
    "PlextracParserActions/ListParserActions": Entry(
        lambda p: parser.ListParserActionsRequest(**parser_tenant(p), limit=1_000), TENANT, shows=True
    ),
    "PlextracParserActions/GetParserAction": Entry(
        lambda p: parser.ParserActionRequest(**parser_tenant(p), action_id=p.tenant.action_id), TENANT, shows=True
    ),
    "PlextracParserActions/CreateParserAction": Entry(
        lambda p: parser.ParserActionsChange(
            **parser_tenant(p), payload=struct(id=secrets.token_hex(6), title=p.tenant.mark, severity="Low")
        ),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    "PlextracParserActions/UpdateParserAction": Entry(
        lambda p: parser.ParserActionChange(
            **parser_tenant(p), action_id=p.tenant.action_id, payload=struct(action="PASS_THROUGH")
        ),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    "PlextracParserActions/UpdateParserActions": Entry(
        lambda p: parser.ParserActionsChange(
            **parser_tenant(p), payload=struct(actions=[{"id": p.tenant.action_id, "action": "PASS_THROUGH"}])
        ),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    "PlextracParserActions/SetParserConfig": Entry(
        lambda p: parser.ParserConfigChange(tenant_id=p.tenant.tenant_id, payload=struct(enabled=True)),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    "PlextracParserActions/GetParserConfig": Entry(
        lambda p: parser.TenantRequest(tenant_id=p.tenant.tenant_id), TENANT
    ),
    "PlextracParserActions/ListTemplates": Entry(lambda _: parser.NoTenantRequest(), shows=True),
    "PlextracParserActions/GetTemplate": Entry(
        lambda p: parser.TemplateRequest(writeup_id=str(p.tenant.writeup_id)), TENANT, shows=True
    ),
    "PlextracParserActions/CreateTemplate": Entry(
        lambda p: parser.NewTemplate(payload=struct(title=p.tenant.mark, severity="Low")),
        says_granted="PERMISSION_DENIED",
    ),
    "PlextracParserActions/UpdateTemplate": Entry(
        lambda p: parser.TemplateChange(writeup_id=str(p.tenant.writeup_id), payload=struct(description="mended")),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    "PlextracParserActions/DeleteTemplate": Entry(
        lambda p: parser.TemplateRequest(writeup_id=str(p.tenant.spare_writeup())),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
}

STATUS: Mapping[str, Entry] = {
    "StatusService/GetImport": Entry(
        lambda p: status.GetImportRequest(import_id=p.imports["viewer"]), CLIENT, shows=True
    ),
    "StatusService/ListImports": Entry(lambda _: status.ListImportsRequest(), shows=True),
    "StatusService/WatchImport": Entry(
        lambda p: status.WatchImportRequest(import_id=p.imports["viewer"]), CLIENT, shows=True
    ),
    "StatusService/ListRowErrors": Entry(
        lambda p: status.ListRowErrorsRequest(import_id=p.imports["viewer"]), CLIENT, shows=True
    ),
    "StatusService/GetReport": Entry(lambda p: status.GetReportRequest(import_id=p.imports["viewer"]), CLIENT),
    "StatusService/ListUndoItems": Entry(lambda p: status.ListUndoItemsRequest(import_id=p.imports["viewer"]), CLIENT),
    "StatusService/ListTenantImports": Entry(lambda _: status.ListTenantImportsRequest(), shows=True),
    "StatusService/ListClients": Entry(lambda _: status.ListClientsRequest(), shows=True),
    "StatusService/ListReports": Entry(lambda p: status.ListReportsRequest(client_id=p.client_id), CLIENT, shows=True),
    "StatusService/ListFindings": Entry(lambda p: status.ListFindingsRequest(**report(p)), CLIENT, shows=True),
    "StatusService/ListAssets": Entry(lambda p: status.ListAssetsRequest(**report(p)), CLIENT, shows=True),
    "StatusService/ListTags": Entry(lambda _: status.ListTagsRequest(page_size=1_000), shows=True),
    "PlextracStatus/ListMyImports": Entry(lambda _: plextrac.ListMyImportsRequest(limit=5), shows=True),
    "PlextracStatus/GetMyImport": Entry(
        lambda p: plextrac.GetMyImportRequest(id=p.imports["viewer"]), CLIENT, shows=True
    ),
    "PlextracStatus/WatchMyImport": Entry(
        lambda p: plextrac.GetMyImportRequest(id=p.imports["viewer"]), CLIENT, shows=True
    ),
    "PlextracStatus/ListMyImportErrors": Entry(
        lambda p: plextrac.PageOfMyImport(id=p.imports["viewer"]), CLIENT, shows=True
    ),
    "PlextracStatus/GetMyImportReport": Entry(lambda p: plextrac.GetMyImportRequest(id=p.imports["viewer"]), CLIENT),
    "PlextracStatus/ListMyUndoItems": Entry(lambda p: plextrac.PageOfMyImport(id=p.imports["viewer"]), CLIENT),
    "PlextracStatus/ListClientRows": Entry(lambda _: plextrac.Empty(), shows=True),
    "PlextracStatus/ListClients": Entry(lambda _: plextrac.ListRequest(payload=page()), shows=True),
    "PlextracStatus/GetClient": Entry(lambda p: plextrac.ClientRequest(client_id=p.client_id), CLIENT, shows=True),
    "PlextracStatus/ListReportRows": Entry(lambda p: plextrac.ClientRequest(client_id=p.client_id), CLIENT, shows=True),
    "PlextracStatus/ListReports": Entry(lambda _: plextrac.ListRequest(payload=page()), shows=True),
    "PlextracStatus/GetReport": Entry(lambda p: plextrac.ReportRequest(**report(p)), CLIENT, shows=True),
    "PlextracStatus/ListFlaws": Entry(lambda p: plextrac.ReportRequest(**report(p)), CLIENT, shows=True),
    "PlextracStatus/GetFlaw": Entry(lambda p: plextrac.FlawRequest(**report(p), flaw_id=p.flaw_id), CLIENT, shows=True),
    "PlextracStatus/ListFindings": Entry(
        lambda p: plextrac.ReportListRequest(**report(p), payload=page()), CLIENT, shows=True
    ),
    "PlextracStatus/ListReportAssets": Entry(lambda p: plextrac.ReportRequest(**report(p)), CLIENT, shows=True),
    "PlextracStatus/ListClientAssetRows": Entry(
        lambda p: plextrac.ClientRequest(client_id=p.client_id), CLIENT, shows=True
    ),
    "PlextracStatus/GetClientAsset": Entry(
        lambda p: plextrac.AssetRequest(**ids(p, "client_id", "asset_id")), CLIENT, shows=True
    ),
    "PlextracStatus/ListClientAssets": Entry(
        lambda p: plextrac.ClientListRequest(client_id=p.client_id, payload=page()), CLIENT, shows=True
    ),
    "PlextracStatus/ListTenantAssets": Entry(lambda _: plextrac.ListRequest(payload=page()), shows=True),
    "PlextracStatus/ListTenantTags": Entry(
        lambda p: plextrac.TenantTagsRequest(tenant_id=p.tenant.tenant_id), TENANT, shows=True
    ),
    "PlextracStatus/ListScanOutput": Entry(
        lambda p: plextrac.ScanOutputRequest(**report(p), **ids(p, "flaw_id", "asset_id")),
        CLIENT,
        shows=True,
        empty_for=frozenset({"asset_id"}),
    ),
}

IDENTITY: Mapping[str, Entry] = {
    "IdentityService/Authenticate": Entry(lambda p: identity.AuthenticateRequest(**credentials(p))),
    "IdentityService/RefreshToken": Entry(lambda _: identity.RefreshTokenRequest(), only_by_token=True),
    "IdentityService/GetKeySet": Entry(lambda _: identity.GetKeySetRequest()),
    "IdentityService/Resolve": Entry(
        lambda p: identity.ResolveRequest(api_key=p.tenant.people["admin"].key), shows=True
    ),
    "IdentityService/CheckAccount": Entry(
        lambda p: identity.CheckAccountRequest(
            tenant_id=p.tenant.tenant_id, user_id=1, role=VIEWER, workspace_id=p.tenant.assets_workspace_id
        )
    ),
    "IdentityService/WhoAmI": Entry(lambda _: identity.WhoAmIRequest(), shows=True),
    "IdentityService/CreateTenant": Entry(
        lambda p: identity.CreateTenantRequest(name=secrets.token_hex(8), admin_email=random_email(p))
    ),
    "IdentityService/ListTenants": Entry(lambda _: identity.ListTenantsRequest(page_size=1000), shows=True),
    "IdentityService/SetTenantDisabled": Entry(
        lambda p: identity.SetTenantDisabledRequest(tenant_id=p.tenant.spare_tenant, disabled=True)
    ),
    "IdentityService/CreateUser": Entry(
        lambda p: identity.CreateUserRequest(email=random_email(p), role=VIEWER, client_ids=[p.client_id])
    ),
    "IdentityService/ListUsers": Entry(lambda _: identity.ListUsersRequest(), shows=True),
    "IdentityService/SetUserDisabled": Entry(
        lambda p: identity.SetUserDisabledRequest(user_id=p.tenant.spare_user), TENANT
    ),
    "IdentityService/SetUserRole": Entry(
        lambda p: identity.SetUserRoleRequest(user_id=p.tenant.spare_user, role=VIEWER, client_ids=[p.client_id]),
        TENANT,
    ),
    "IdentityService/RotatePassword": Entry(
        lambda p: identity.RotatePasswordRequest(user_id=p.tenant.spare_user), TENANT
    ),
    "IdentityService/CreateApiKey": Entry(
        lambda p: identity.CreateApiKeyRequest(user_id=p.tenant.spare_user, name="matrix"), TENANT
    ),
    "IdentityService/ListApiKeys": Entry(lambda _: identity.ListApiKeysRequest(), shows=True),
    "IdentityService/SetApiKeyDisabled": Entry(
        lambda p: identity.SetApiKeyDisabledRequest(api_key_id=p.tenant.spare_key), TENANT
    ),
    "IdentityService/RotateApiKey": Entry(
        lambda p: identity.RotateApiKeyRequest(api_key_id=p.tenant.spare_key), TENANT
    ),
    "IdentityService/CreateWorkspace": Entry(
        lambda p: identity.CreateWorkspaceRequest(dialect="assets", name=f"{p.tenant.mark} matrix")
    ),
    "IdentityService/ListWorkspaces": Entry(lambda _: identity.ListWorkspacesRequest(), shows=True),
    "IdentityService/GetWorkspace": Entry(
        lambda p: identity.GetWorkspaceRequest(dialect="appfile", workspace=p.tenant.workspace_id), TENANT, shows=True
    ),
    "IdentityService/SetWorkspaceDisabled": Entry(
        lambda p: identity.SetWorkspaceDisabledRequest(workspace_id=p.tenant.workspace_id), TENANT
    ),
    "IdentityService/IssueContainerToken": Entry(
        lambda p: identity.IssueContainerTokenRequest(
            import_source_id=p.tenant.token_sources[0], workspace_id=p.tenant.assets_workspace_id
        ),
        TENANT,
    ),
    # A token acts for its owner, who sees every client.
    "IdentityService/GetContainerToken": Entry(
        lambda p: identity.GetContainerTokenRequest(import_source_id=p.tenant.token_sources[1]),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    "IdentityService/RevokeContainerToken": Entry(
        lambda p: identity.RevokeContainerTokenRequest(import_source_id=p.tenant.token_sources[2]),
        TENANT,
        empty_for=frozenset({"all", "import_source_id"}),
    ),
    "AssetsIdentity/ListWorkspaces": Entry(lambda _: assets.WorkspacesRequest()),
    "AssetsIdentity/GetTenantInfo": Entry(lambda _: assets.TenantInfoRequest()),
    "WellKnown/GetJwks": Entry(lambda _: well_known.GetJwksRequest()),
    "PlextracIdentity/Authenticate": Entry(
        lambda p: plextrac.AuthenticateRequest(credentials=plextrac.Credentials(**credentials(p)))
    ),
    "PlextracIdentity/RefreshToken": Entry(lambda _: plextrac.Empty(), only_by_token=True),
    "PlextracIdentity/WhoAmI": Entry(lambda _: plextrac.Empty(), shows=True),
}

# A workspace is all of its tenant's: what changes its schemas is not for those who may see certain clients only.
SCHEMAS: Mapping[str, Entry] = {
    "SchemaService/ListRecordSchemas": Entry(
        lambda p: schemas.ListRecordSchemasRequest(workspace=p.tenant.workspace_id), TENANT, shows=True
    ),
    "SchemaService/GetRecordSchema": Entry(
        lambda p: schemas.GetRecordSchemaRequest(**schema_of(p), entity_type=p.tenant.entity_type), TENANT, shows=True
    ),
    "SchemaService/PutRecordSchema": Entry(
        lambda p: schemas.PutRecordSchemaRequest(
            workspace=p.tenant.workspace_id, schema=new_schema(p.tenant.mark, p.tenant.entity_type)
        ),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    "SchemaService/DeleteRecordSchema": Entry(
        lambda p: schemas.DeleteRecordSchemaRequest(**schema_of(p), entity_type=p.tenant.spare_schema()),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
}


def schema_of(place: Place) -> dict[str, str]:
    return {"workspace": place.tenant.workspace_id, "data_source": DATA_SOURCE}


# The files and records of a workspace are not for those who may see certain clients only.
RECORDS: Mapping[str, Entry] = {
    **{
        name: Entry(build, says_granted="PERMISSION_DENIED", shows=name != "AppFileUpload/ImportData")
        for name, build in REQUESTS.items()
    },
    **{
        name: Entry(
            build,
            TENANT,
            shows=name != "AppFileImporter/CancelFile",
            # Its import has ended.
            says="FAILED_PRECONDITION" if name == "AppFileImporter/CancelFile" else "OK",
            says_granted="PERMISSION_DENIED",
            # What the caller calls an import, and nobody else's.
            empty_for=frozenset({"action_id"}),
        )
        for name, build in REQUESTS_WITH_IDS.items()
    },
}

# A workspace is not for those who may see certain clients only.
ASSETS: Mapping[str, Entry] = {
    **{
        name: Entry(
            build,
            TENANT,
            shows=True,
            says_granted="PERMISSION_DENIED",
            empty_for=FILTERS.get(name, frozenset()),
        )
        for name, build in SHOWN.items()
    },
    **{name: Entry(build, TENANT, says_granted="PERMISSION_DENIED") for name, build in DONE.items()},
    **{
        name: Entry(build, TENANT, says=says, says_granted="PERMISSION_DENIED")
        for name, (says, build) in REFUSED.items()
    },
    "AssetsImporter/RollbackExecution": Entry(
        of_execution(assets.ExecutionRequest, payload=lambda _: struct(dryRun=True)),
        TENANT,
        says_granted="PERMISSION_DENIED",
    ),
    # It is for holders of container tokens.
    "AssetsImporter/GetImportsInfo": Entry(
        lambda _: assets.ImportsInfoRequest(), says="PERMISSION_DENIED", says_granted="PERMISSION_DENIED"
    ),
    "AssetsStatus/GetMappingSchema": Entry(lambda _: assets.MappingSchemaRequest(version="2023_10_19")),
}

ENTRIES: Mapping[str, Entry] = {
    **UPLOAD, **IMPORTER, **WEBHOOKS, **PARSER_ACTIONS, **SCHEMAS, **RECORDS, **STATUS, **IDENTITY, **ASSETS,
}  # fmt: skip
"""By `Service/Method`."""
