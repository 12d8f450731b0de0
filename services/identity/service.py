"""The native gRPC face of the service: convert, call the use case, convert back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.timestamp_pb2 import Timestamp

from hythe.identity.v1 import identity_pb2 as pb
from hythe.identity.v1 import well_known_pb2
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceServicer
from hythe.identity.v1.well_known_pb2_grpc import WellKnownServicer
from runtime.auth import ApiKey, Basic, Principal, current_credential, current_principal, current_request
from runtime.timestamps import timestamp
from services.identity.api_keys import ApiKeys
from services.identity.checks import checked_role
from services.identity.container_tokens import ContainerTokens
from services.identity.credentials import Credentials
from services.identity.logins import Logins
from services.identity.model import Account, ContainerToken, KeyRecord, Tenant, Workspace
from services.identity.signing import KeyRing
from services.identity.standings import Standings
from services.identity.tenants import Tenants
from services.identity.tokens import Token
from services.identity.users import Users
from services.identity.workspaces import Workspaces, read_id, workspace_not_found

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class UseCases:
    """All that the servicers call."""

    keys: KeyRing
    logins: Logins
    credentials: Credentials
    standings: Standings
    tenants: Tenants
    users: Users
    api_keys: ApiKeys
    container_tokens: ContainerTokens
    workspaces: Workspaces


class IdentityService(IdentityServiceServicer):
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def Authenticate(self, request: pb.AuthenticateRequest, context: Context) -> pb.AuthenticateResponse:
        peer = current_request().peer
        token = await self._do.logins.authenticate(request.username, request.password, address=peer)
        return pb.AuthenticateResponse(token=token_message(token))

    async def RefreshToken(self, request: pb.RefreshTokenRequest, context: Context) -> pb.RefreshTokenResponse:
        token = await self._do.logins.refresh(current_principal(), current_credential())
        return pb.RefreshTokenResponse(token=token_message(token))

    async def GetKeySet(self, request: pb.GetKeySetRequest, context: Context) -> pb.GetKeySetResponse:
        return pb.GetKeySetResponse(jwks_json=self._do.keys.jwks())

    async def Resolve(self, request: pb.ResolveRequest, context: Context) -> pb.ResolveResponse:
        if request.WhichOneof("credential") == "basic":
            credential: ApiKey | Basic = Basic(request.basic.username, request.basic.secret)
        else:
            credential = ApiKey(request.api_key)
        principal = await self._do.credentials.resolve(credential)
        return pb.ResolveResponse(principal=principal_message(principal))

    async def CheckAccount(self, request: pb.CheckAccountRequest, context: Context) -> pb.CheckAccountResponse:
        workspace_id = read_id(request.workspace_id)
        if workspace_id is None:
            raise workspace_not_found(request.workspace_id)
        standing = await self._do.standings.check(
            request.tenant_id, request.user_id, least=checked_role(request.role), workspace_id=workspace_id
        )
        return pb.CheckAccountResponse(standing=int(standing))  # type: ignore[arg-type] # As of roles, below.

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: Context) -> pb.WhoAmIResponse:
        principal = current_principal()
        tenant = await self._do.logins.who_am_i(principal)
        return pb.WhoAmIResponse(principal=principal_message(principal), tenant_name=tenant.name)

    async def CreateTenant(self, request: pb.CreateTenantRequest, context: Context) -> pb.CreateTenantResponse:
        created = await self._do.tenants.create(current_principal(), request.name, request.admin_email)
        tenant, admin, password = created
        return pb.CreateTenantResponse(
            tenant=tenant_message(tenant), admin=user_message(admin), admin_password=password
        )

    async def ListTenants(self, request: pb.ListTenantsRequest, context: Context) -> pb.ListTenantsResponse:
        page = await self._do.tenants.list(
            current_principal(), page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListTenantsResponse(tenants=map(tenant_message, page.items), next_page_token=page.next_token)

    async def SetTenantDisabled(
        self, request: pb.SetTenantDisabledRequest, context: Context
    ) -> pb.SetTenantDisabledResponse:
        tenant = await self._do.tenants.set_disabled(current_principal(), request.tenant_id, disabled=request.disabled)
        return pb.SetTenantDisabledResponse(tenant=tenant_message(tenant))

    async def CreateUser(self, request: pb.CreateUserRequest, context: Context) -> pb.CreateUserResponse:
        account, password = await self._do.users.create(
            current_principal(),
            request.email,
            role=request.role,
            service_account=request.service_account,
            client_ids=request.client_ids,
        )
        return pb.CreateUserResponse(user=user_message(account), password=password)

    async def ListUsers(self, request: pb.ListUsersRequest, context: Context) -> pb.ListUsersResponse:
        page = await self._do.users.list(
            current_principal(), page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListUsersResponse(users=map(user_message, page.items), next_page_token=page.next_token)

    async def SetUserDisabled(self, request: pb.SetUserDisabledRequest, context: Context) -> pb.SetUserDisabledResponse:
        account = await self._do.users.set_disabled(current_principal(), request.user_id, disabled=request.disabled)
        return pb.SetUserDisabledResponse(user=user_message(account))

    async def SetUserRole(self, request: pb.SetUserRoleRequest, context: Context) -> pb.SetUserRoleResponse:
        account = await self._do.users.set_role(
            current_principal(), request.user_id, role=request.role, client_ids=request.client_ids
        )
        return pb.SetUserRoleResponse(user=user_message(account))

    async def RotatePassword(self, request: pb.RotatePasswordRequest, context: Context) -> pb.RotatePasswordResponse:
        password = await self._do.users.rotate_password(current_principal(), request.user_id)
        return pb.RotatePasswordResponse(password=password)

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.CreateApiKeyResponse:
        key, secret = await self._do.api_keys.create(
            current_principal(),
            request.user_id,
            name=request.name,
            scopes=request.scopes,
            life_days=request.life_days,
        )
        return pb.CreateApiKeyResponse(api_key=key_message(key), secret=secret)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        page = await self._do.api_keys.list(
            current_principal(), page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListApiKeysResponse(api_keys=map(key_message, page.items), next_page_token=page.next_token)

    async def SetApiKeyDisabled(
        self, request: pb.SetApiKeyDisabledRequest, context: Context
    ) -> pb.SetApiKeyDisabledResponse:
        key = await self._do.api_keys.set_disabled(current_principal(), request.api_key_id, disabled=request.disabled)
        return pb.SetApiKeyDisabledResponse(api_key=key_message(key))

    async def RotateApiKey(self, request: pb.RotateApiKeyRequest, context: Context) -> pb.RotateApiKeyResponse:
        key, secret = await self._do.api_keys.rotate(
            current_principal(), request.api_key_id, grace_seconds=request.grace_seconds
        )
        return pb.RotateApiKeyResponse(api_key=key_message(key), secret=secret)

    async def CreateWorkspace(self, request: pb.CreateWorkspaceRequest, context: Context) -> pb.CreateWorkspaceResponse:
        workspace = await self._do.workspaces.create(
            current_principal(), dialect=request.dialect, name=request.name, bucket_id=request.bucket_id
        )
        return pb.CreateWorkspaceResponse(workspace=workspace_message(workspace))

    async def ListWorkspaces(self, request: pb.ListWorkspacesRequest, context: Context) -> pb.ListWorkspacesResponse:
        page = await self._do.workspaces.list(
            current_principal(), page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListWorkspacesResponse(workspaces=map(workspace_message, page.items), next_page_token=page.next_token)

    async def GetWorkspace(self, request: pb.GetWorkspaceRequest, context: Context) -> pb.GetWorkspaceResponse:
        workspace = await self._do.workspaces.find(
            current_principal(), dialect=request.dialect, workspace=request.workspace, bucket_id=request.bucket_id
        )
        return pb.GetWorkspaceResponse(workspace=workspace_message(workspace))

    async def SetWorkspaceDisabled(
        self, request: pb.SetWorkspaceDisabledRequest, context: Context
    ) -> pb.SetWorkspaceDisabledResponse:
        workspace = await self._do.workspaces.set_disabled(
            current_principal(), request.workspace_id, disabled=request.disabled
        )
        return pb.SetWorkspaceDisabledResponse(workspace=workspace_message(workspace))

    async def IssueContainerToken(
        self, request: pb.IssueContainerTokenRequest, context: Context
    ) -> pb.IssueContainerTokenResponse:
        issued = await self._do.container_tokens.issue(
            current_principal(), request.import_source_id, request.workspace_id
        )
        return pb.IssueContainerTokenResponse(container_token=container_token_message(*issued))

    async def GetContainerToken(
        self, request: pb.GetContainerTokenRequest, context: Context
    ) -> pb.GetContainerTokenResponse:
        found = await self._do.container_tokens.get(current_principal(), request.import_source_id)
        return pb.GetContainerTokenResponse(container_token=container_token_message(*found))

    async def RevokeContainerToken(
        self, request: pb.RevokeContainerTokenRequest, context: Context
    ) -> pb.RevokeContainerTokenResponse:
        await self._do.container_tokens.revoke(current_principal(), request.import_source_id)
        return pb.RevokeContainerTokenResponse()


class WellKnown(WellKnownServicer):
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def GetJwks(self, request: well_known_pb2.GetJwksRequest, context: Context) -> HttpBody:
        return HttpBody(content_type="application/json", data=self._do.keys.jwks().encode())


def token_message(token: Token) -> pb.Token:
    return pb.Token(token=token.token, expire_time=Timestamp(seconds=token.expires_at), tenant_id=token.tenant_id)


def principal_message(principal: Principal) -> pb.Principal:
    return pb.Principal(
        tenant_id=principal.tenant_id,
        user_id=principal.user_id,
        email=principal.email,
        role=int(principal.role),  # type: ignore[arg-type] # The numbers are the same by definition.
        operator=principal.operator,
        scopes=sorted(principal.scopes),
        client_ids=sorted(principal.client_ids or ()),
        all_clients=principal.client_ids is None,
        import_source_id=str(principal.import_source_id or ""),
        workspace_id=str(principal.workspace_id or ""),
    )


def tenant_message(tenant: Tenant) -> pb.Tenant:
    return pb.Tenant(
        tenant_id=tenant.tenant_id,
        name=tenant.name,
        disabled=tenant.disabled,
        create_time=timestamp(tenant.created_at),
    )


def user_message(account: Account) -> pb.User:
    return pb.User(
        user_id=account.user_id,
        email=account.email,
        role=int(account.role),  # type: ignore[arg-type] # As above.
        service_account=account.service_account,
        disabled=account.disabled,
        client_ids=sorted(account.client_ids or ()),
        create_time=timestamp(account.created_at),
    )


def key_message(key: KeyRecord) -> pb.ApiKey:
    return pb.ApiKey(
        api_key_id=key.api_key_id,
        user_id=key.user_id,
        name=key.name,
        prefix=key.prefix,
        scopes=sorted(key.scopes),
        disabled=key.disabled,
        create_time=timestamp(key.created_at),
        expire_time=timestamp(key.expires_at),
    )


def container_token_message(token: ContainerToken, text: str) -> pb.ContainerToken:
    return pb.ContainerToken(
        token=text,
        import_source_id=str(token.import_source_id),
        workspace_id=str(token.workspace_id),
        user_id=token.user_id,
        create_time=timestamp(token.created_at),
        use_time=timestamp(token.used_at),
    )


def workspace_message(workspace: Workspace) -> pb.Workspace:
    return pb.Workspace(
        workspace_id=str(workspace.workspace_id),
        dialect=workspace.dialect,
        name=workspace.name,
        disabled=workspace.disabled,
        bucket_id=workspace.bucket_id,
    )
