"""What the native API calls things: from the model to its messages."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from hythe.identity.v1 import identity_pb2 as pb
from runtime.auth import Principal
from services.identity.model import Account, KeyRecord, Tenant, Workspace
from services.identity.tokens import Token


def timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment.astimezone(UTC))
    return message


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


def workspace_message(workspace: Workspace) -> pb.Workspace:
    return pb.Workspace(
        workspace_id=str(workspace.workspace_id),
        dialect=workspace.dialect,
        name=workspace.name,
        disabled=workspace.disabled,
    )
