"""Two tenants with everything in them twice: people of every role, clients, reports, uploads, imports, findings.

Whatever has a name bears the mark of its place, so that one look at an answer's bytes tells whose data are in it.
"""

from __future__ import annotations

import itertools
import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx

from hythe.identity.v1 import identity_pb2 as identity
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub
from hythe.importer.v1 import import_sources_pb2 as sources
from hythe.importer.v1 import importer_pb2 as importer
from hythe.importer.v1.import_sources_pb2_grpc import ImportSourceServiceStub
from hythe.importer.v1.importer_pb2_grpc import ImportServiceStub
from hythe.options.v1 import options_pb2
from hythe.status.v1 import status_pb2 as status
from hythe.status.v1.status_pb2_grpc import StatusServiceStub
from hythe.upload.v1 import upload_pb2 as upload
from hythe.upload.v1.upload_pb2_grpc import UploadServiceStub
from tests.e2e.matrix_actions import add_action, add_writeup
from tests.e2e.matrix_assets import Depot, add_depot
from tests.e2e.matrix_records import add_record_file, import_file
from tests.e2e.matrix_schemas import add_schema
from tests.e2e.matrix_webhooks import Webhooks
from tests.receiver import Receiver, receiving
from tests.scans import nessus
from tests.stack import LiveStack

VIEWER, IMPORTER, ADMIN = options_pb2.ROLE_VIEWER, options_pb2.ROLE_IMPORTER, options_pb2.ROLE_ADMIN
TERMINAL = (importer.STATE_SUCCEEDED, importer.STATE_FAILED, importer.STATE_CANCELLED)
SECONDS = 60
SPARE_WRITEUPS = 60
SPARE_SCHEMAS = 60
# Logins are limited by network address; each of these comes from one of its own. (203.0.113.0/24 is for examples.)
ADDRESSES = (f"203.0.113.{number}" for number in itertools.count(1))


@dataclass
class Person:
    """Somebody with both kinds of credential. `email` is theirs as the server has it."""

    email: str
    user_id: int = 0
    tenant_id: int = 0
    password: str = ""
    token: str = ""
    key: str = ""
    key_id: int = 0

    @property
    def by_token(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    @property
    def by_key(self) -> dict[str, str]:
        return {"x-api-key": self.key}


@dataclass
class Place:
    """A client with a report, an uploaded file, imports of it by several people, and what they brought."""

    mark: str
    tenant: Tenant
    client_id: int = 0
    report_id: int = 0
    key: str = ""
    begun_key: str = ""
    """Of an upload in parts, of which none has come."""
    aborted_key: str = ""
    """Of another one that may be aborted, also again."""
    flaw_id: int = 0
    asset_id: str = ""
    webhook_id: int = 0
    delivery_id: str = ""
    spare_webhooks: list[int] = field(default_factory=list)
    imports: dict[str, str] = field(default_factory=dict)
    """Who triggered it (viewer, importer, admin) -> the import's id."""

    def spare_webhook(self) -> int:
        """One that may be removed; another one each time, while there are others."""
        return self.spare_webhooks.pop() if len(self.spare_webhooks) > 1 else self.spare_webhooks[0]


@dataclass
class Tenant:
    mark: str
    tenant_id: int
    people: dict[str, Person]
    """By role, and those with a restriction by its name."""
    spare_user: int = 0
    spare_key: int = 0
    spare_tenant: int = 0
    """Another tenant, which nobody uses. Only operators may touch it."""
    workspace_id: str = ""
    assets_workspace_id: str = ""
    depot: Depot = field(init=False)
    token_sources: list[str] = field(default_factory=list)
    """Ids of import sources that have a container token: to be rotated, to be read, to be revoked."""
    action_id: str = ""
    """Of a parser action of nessus that no file has taught."""
    writeup_id: int = 0
    spare_writeups: list[int] = field(default_factory=list)
    file_id: str = ""
    """Of a file of records in the workspace."""
    imported_file_id: str = ""
    """Of another one, which has been imported."""
    entity_type: str = ""
    """Of a record schema of the workspace."""
    spare_schemas: list[str] = field(default_factory=list)

    def spare_writeup(self) -> int:
        """One that may be deleted; another one each time."""
        return self.spare_writeups.pop()

    def spare_schema(self) -> str:
        """The entity type of one that may be deleted; another one each time."""
        return self.spare_schemas.pop()


@dataclass
class World:
    """Of tenant A the places `one` and `two`; `granted` of its people may see only the first. Of tenant B `other`."""

    one: Place
    two: Place
    other: Place
    operator: Person

    @property
    def a(self) -> Tenant:
        return self.one.tenant

    @property
    def b(self) -> Tenant:
        return self.other.tenant


class Founder:
    """Makes tenants, people and places over the native API."""

    def __init__(self, stack: LiveStack, receiver: Receiver | None = None) -> None:
        self._receiver = receiver
        self._url, self._clients = stack.url, list[httpx.Client]()
        self._channel = grpc.insecure_channel(stack.grpc)
        self._identity = IdentityServiceStub(self._channel)
        self._direct = grpc.insecure_channel(stack.address("identity"))
        self.operator = Person(stack.user, password=stack.password, key=stack.api_key)
        self.operator.token = self.login(self.operator)

    def close(self) -> None:
        for http in self._clients:
            http.close()
        self._channel.close()
        self._direct.close()

    def login(self, person: Person) -> str:
        """A token. Past the gateway, where the caller's word about its address counts."""
        request = identity.AuthenticateRequest(username=person.email, password=person.password)
        metadata = (("x-forwarded-for", next(ADDRESSES)),)
        reply = IdentityServiceStub(self._direct).Authenticate(request, timeout=SECONDS, metadata=metadata)
        person.tenant_id = reply.token.tenant_id
        return str(reply.token.token)

    def tenant(self, mark: str) -> Tenant:
        """With an administrator."""
        made = self._do("CreateTenant", identity.CreateTenantRequest(name=mark, admin_email=f"admin@{mark}.example"))
        admin = Person(made.admin.email, made.admin.user_id, made.tenant.tenant_id, made.admin_password)
        admin.token = self.login(admin)
        self.give_key(admin, admin)
        return Tenant(mark, made.tenant.tenant_id, {"admin": admin})

    def furnish(self, tenant: Tenant) -> Tenant:
        """Adds what may be changed without harm, because nobody uses it."""
        mark, admin = tenant.mark, tenant.people["admin"]
        unused = identity.CreateTenantRequest(name=f"{mark} spare", admin_email=f"admin@spare.{mark}.example")
        tenant.spare_tenant = self._do("CreateTenant", unused).tenant.tenant_id
        spare = self.person(tenant, "spare", VIEWER)
        tenant.spare_user, tenant.spare_key = spare.user_id, spare.key_id
        workspace = identity.CreateWorkspaceRequest(dialect="appfile", name=mark)
        tenant.workspace_id = self._do("CreateWorkspace", workspace, admin).workspace.workspace_id
        self.furnish_tokens(tenant)
        self.furnish_depot(tenant)
        furnish_actions(tenant, self._channel)
        furnish_schemas(tenant, self._channel)
        metadata = tuple(admin.by_token.items())
        tenant.file_id = add_record_file(self._channel, metadata, mark, tenant.workspace_id)
        return tenant

    def furnish_tokens(self, tenant: Tenant) -> None:
        """The identity service takes the ids of sources as they come. Past the gateway, which has no route to this."""
        admin, direct = tenant.people["admin"], IdentityServiceStub(self._direct)
        workspace = identity.CreateWorkspaceRequest(dialect="assets", name=tenant.mark)
        tenant.assets_workspace_id = self._do("CreateWorkspace", workspace, admin).workspace.workspace_id
        tenant.token_sources = [str(uuid.uuid4()) for _ in range(3)]
        for source_id in tenant.token_sources:
            request = identity.IssueContainerTokenRequest(
                import_source_id=source_id, workspace_id=tenant.assets_workspace_id
            )
            direct.IssueContainerToken(request, timeout=SECONDS, metadata=tuple(admin.by_token.items()))

    def furnish_depot(self, tenant: Tenant) -> None:
        """Object schema, import sources, executions, objects. By key: a token would not live as long as the tests."""
        metadata = tuple(tenant.people["admin"].by_key.items())
        request = sources.CreateObjectSchemaRequest(
            workspace=tenant.assets_workspace_id, name=tenant.mark, key=f"D{secrets.token_hex(4).upper()}"
        )
        made = ImportSourceServiceStub(self._channel).CreateObjectSchema(request, timeout=SECONDS, metadata=metadata)
        http = httpx.Client(base_url=self._url, headers=tenant.people["admin"].by_key, timeout=SECONDS)
        self._clients.append(http)
        schema_id = made.object_schema.object_schema_id
        tenant.depot = add_depot(http, tenant.mark, tenant.assets_workspace_id, schema_id)

    def import_records(self, tenant: Tenant, person: Person) -> None:
        """A file of records, by somebody who may command its import."""
        metadata = tuple(person.by_key.items())
        tenant.imported_file_id = add_record_file(self._channel, metadata, tenant.mark, tenant.workspace_id)
        import_file(self._channel, metadata, tenant.imported_file_id)

    def person(self, tenant: Tenant, name: str, role: Any, client_ids: tuple[int, ...] = ()) -> Person:
        email = f"{name}@{tenant.mark}.example"
        request = identity.CreateUserRequest(email=email, role=role, client_ids=client_ids)
        made = self._do("CreateUser", request, tenant.people["admin"])
        person = Person(made.user.email, made.user.user_id, tenant.tenant_id, made.password)
        self.renew(tenant, person)
        tenant.people[name] = person
        return person

    def renew(self, tenant: Tenant, person: Person) -> None:
        """New credentials, which no service has seen yet: it would remember the old ones for up to a minute."""
        person.token = self.login(person)
        self.give_key(tenant.people["admin"], person)

    def change(self, tenant: Tenant, person: Person, role: Any, client_ids: tuple[int, ...] = ()) -> None:
        request = identity.SetUserRoleRequest(user_id=person.user_id, role=role, client_ids=client_ids)
        self._do("SetUserRole", request, tenant.people["admin"])
        self.renew(tenant, person)

    def give_key(self, admin: Person, owner: Person) -> None:
        request = identity.CreateApiKeyRequest(user_id=owner.user_id, name=f"key of {owner.email}")
        made = self._do("CreateApiKey", request, admin)
        owner.key, owner.key_id = made.secret, made.api_key.api_key_id

    def place(self, tenant: Tenant, mark: str, first_plugin: int, importers: Mapping[str, Person]) -> Place:
        place = Place(mark, tenant)
        admin = tuple(tenant.people["admin"].by_token.items())
        imports = ImportServiceStub(self._channel)
        client = importer.CreateClientRequest(name=f"{mark} client", description=mark, tags=[mark])
        place.client_id = imports.CreateClient(client, timeout=SECONDS, metadata=admin).client_id
        report = importer.CreateReportRequest(client_id=place.client_id, name=f"{mark} report", tags=[mark])
        place.report_id = imports.CreateReport(report, timeout=SECONDS, metadata=admin).report_id
        place.key = self._upload(scan(mark, first_plugin), f"{mark}.nessus", admin)
        place.begun_key, place.aborted_key = (self._begin(f"{mark}.nessus", admin) for _ in range(2))
        hooks = Webhooks(self._channel, admin)
        assert self._receiver is not None, "A place has a webhook, so it needs somebody who hears."
        place.webhook_id = hooks.add(self._receiver.url(f"/{mark}"), mark, place.client_id)
        place.spare_webhooks = hooks.spares(mark, place.client_id)
        request = importer.CreateImportRequest(
            client_id=place.client_id,
            report_id=place.report_id,
            source="nessus",
            key=place.key,
            asset_tags=[mark],
            # Each of them is to have what only an import that merges has.
            options=importer.ImportOptions(force=True),
        )
        for name, person in importers.items():
            metadata = tuple(person.by_key.items())
            made = getattr(imports.CreateImport(request, timeout=SECONDS, metadata=metadata), "import")
            place.imports[name] = made.import_id
        self._wait(place, admin)
        place.delivery_id = hooks.delivered(place.webhook_id)
        return place

    def silence(self, tenant: Tenant) -> None:
        Webhooks(self._channel, tuple(tenant.people["admin"].by_key.items())).remove_all()

    def _upload(self, data: bytes, name: str, metadata: Any) -> str:
        request = upload.CreateUploadRequest(file_name=name)
        made = UploadServiceStub(self._channel).CreateUpload(request, timeout=SECONDS, metadata=metadata)
        httpx.put(made.url, content=data, timeout=SECONDS).raise_for_status()
        return str(made.upload.key)

    def _begin(self, name: str, metadata: Any) -> str:
        request = upload.CreateMultipartUploadRequest(file_name=name, size_bytes=1)
        made = UploadServiceStub(self._channel).CreateMultipartUpload(request, timeout=SECONDS, metadata=metadata)
        return str(made.upload.key)

    def _wait(self, place: Place, metadata: Any) -> None:
        """Until all imports are in; then learn what they brought."""
        read = StatusServiceStub(self._channel)
        for import_id in place.imports.values():
            request = status.WatchImportRequest(import_id=import_id)
            *_, last = read.WatchImport(request, timeout=SECONDS, metadata=metadata)
            assert getattr(last, "import").state == importer.STATE_SUCCEEDED, last
        findings = read.ListFindings(
            status.ListFindingsRequest(client_id=place.client_id, report_id=place.report_id),
            timeout=SECONDS,
            metadata=metadata,
        )
        assets = read.ListAssets(
            status.ListAssetsRequest(client_id=place.client_id), timeout=SECONDS, metadata=metadata
        )
        place.flaw_id, place.asset_id = findings.findings[0].flaw_id, assets.assets[0].asset_id

    def _do(self, method: str, request: Any, caller: Person | None = None) -> Any:
        metadata = tuple((caller or self.operator).by_token.items())
        return getattr(self._identity, method)(request, timeout=SECONDS, metadata=metadata)


def furnish_actions(tenant: Tenant, channel: grpc.Channel) -> None:
    metadata = tuple(tenant.people["admin"].by_token.items())
    tenant.action_id = add_action(channel, metadata, tenant.mark)
    tenant.writeup_id, *tenant.spare_writeups = (
        add_writeup(channel, metadata, tenant.mark) for _ in range(SPARE_WRITEUPS)
    )


def furnish_schemas(tenant: Tenant, channel: grpc.Channel) -> None:
    metadata = tuple(tenant.people["admin"].by_token.items())
    made = [add_schema(channel, metadata, tenant.workspace_id, tenant.mark) for _ in range(1 + SPARE_SCHEMAS)]
    tenant.entity_type, *tenant.spare_schemas = made


def scan(mark: str, first_plugin: int) -> bytes:
    """With one item that is rejected, so that there is a report."""
    data = nessus(hosts=2, plugins=2, first_plugin=first_plugin)
    rejected = f'<ReportItem port="0" severity="0" pluginID="{mark}" pluginName="No number"/></ReportHost>'
    data = data.replace(b"</ReportHost>", rejected.encode(), 1)
    for word in (b"Weakness", b"seen on", b"example.org", b"Short", b"Long", b"Mend"):
        data = data.replace(word, mark.encode() + b"." + word)
    return data


def found(stack: LiveStack) -> Iterator[World]:
    """The world, until the end of the block."""
    with receiving() as receiver:
        yield from founded(stack, receiver)


def founded(stack: LiveStack, receiver: Receiver) -> Iterator[World]:
    founder, once = Founder(stack, receiver), secrets.token_hex(4)
    try:
        a, b = (founder.furnish(founder.tenant(f"{wood}{once}")) for wood in ("amber", "birch"))
        viewer, importers = founder.person(a, "viewer", IMPORTER), founder.person(a, "importer", IMPORTER)
        granted = founder.person(a, "granted", IMPORTER)
        people = {"viewer": viewer, "importer": importers, "admin": a.people["admin"], "granted": granted}
        one = founder.place(a, f"{a.mark}one", 70_000, people)
        two = founder.place(a, f"{a.mark}two", 80_000, {"viewer": granted, "importer": granted, "granted": granted})
        everything = dict.fromkeys(("viewer", "importer", "granted"), b.people["admin"])
        other = founder.place(b, f"{b.mark}place", 90_000, everything)
        founder.import_records(a, importers)
        founder.import_records(b, b.people["admin"])
        # Who may only look has triggered an import in better days, and who is confined has been everywhere.
        founder.change(a, viewer, VIEWER)
        founder.change(a, granted, IMPORTER, (one.client_id,))
        founder.person(a, "granted-admin", ADMIN, (one.client_id,))
        founder.person(b, "stray", IMPORTER, (one.client_id,))
        yield World(one, two, other, founder.operator)
        founder.silence(a)
        founder.silence(b)
    finally:
        founder.close()
