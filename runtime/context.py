"""What is known about the call being served, wherever in its task one stands."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum
from uuid import UUID

from runtime.errors import Unauthenticated


class Role(IntEnum):
    """As hythe.options.v1.Role: a higher one includes the lower."""

    VIEWER = 1
    IMPORTER = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whose credential was good."""

    tenant_id: int
    user_id: int
    email: str
    role: Role
    operator: bool = False
    scopes: frozenset[str] = frozenset()
    client_ids: frozenset[int] | None = None
    """The only clients there are for this principal; None: all of the tenant."""
    import_source_id: UUID | None = None
    """The only import source that it reaches: of a container token. None: whichever its role allows."""
    workspace_id: UUID | None = None
    """The workspace of that source, the only one there is for it."""

    def may_see_client(self, client_id: int) -> bool:
        return self.client_ids is None or client_id in self.client_ids

    def may_reach_source(self, import_source_id: UUID) -> bool:
        return self.import_source_id in {None, import_source_id}

    def may_reach_workspace(self, workspace_id: UUID) -> bool:
        return self.workspace_id in {None, workspace_id}


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """The call, apart from who makes it."""

    request_id: str
    traceparent: str
    """W3C trace context of this call, to hand on."""
    method: str
    """`package.Service/Method`."""
    dialect: str
    """The public API whose route the call came by; empty for native gRPC."""
    peer: str
    """Network address of the client, as the gateway saw it."""
    deadline: float | None = None
    """When the answer must be there, in seconds of the event loop's clock; None: whenever."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event, compare=False)
    """Set when the server drains: a call that would go on for long should end."""


request_variable: ContextVar[RequestInfo] = ContextVar("request")
principal_variable: ContextVar[Principal] = ContextVar("principal")
credential_variable: ContextVar[str] = ContextVar("credential")
noted_variable: ContextVar[dict[str, str]] = ContextVar("noted")


def current_request() -> RequestInfo:
    """Raises LookupError outside a call."""
    return request_variable.get()


def current_principal() -> Principal:
    """Raises Unauthenticated where nobody was authenticated, so that forgetting a check refuses."""
    try:
        return principal_variable.get()
    except LookupError:
        raise Unauthenticated("NO_CREDENTIAL", "This needs a credential: a token or an API key.") from None


def act_as(principal: Principal) -> None:
    """For a method that is anonymous, such as a login: who the caller turned out to be. The audit log then says so."""
    principal_variable.set(principal)


def note_object(**ids: object) -> None:
    """Names what the call being served has made, where the request could not: `note_object(user_id=5)`.

    For the audit log, so ids only. Outside a call it does nothing.
    """
    noted = noted_variable.get(None)
    if noted is not None:
        noted.update({name: str(value) for name, value in ids.items()})


def current_credential() -> str:
    """The caller's own `authorization`, to call another service on their behalf; empty when there is none."""
    return credential_variable.get("")
