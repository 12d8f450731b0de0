"""What the identity service knows: tenants, accounts, API keys, workspaces; and the rules that need nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Generic, TypeVar
from uuid import UUID

from runtime.auth import Principal, Role

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tenant:
    tenant_id: int
    name: str
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """A person, who logs in with a password, or a service account, which only has keys."""

    user_id: int
    tenant_id: int
    email: str
    role: Role
    operator: bool
    service_account: bool
    client_ids: frozenset[int] | None
    """The only clients it may see; None: every one of its tenant."""
    disabled: bool
    """Also when its tenant is."""
    tokens_valid_after: datetime
    created_at: datetime

    def principal(self, scopes: frozenset[str] = frozenset()) -> Principal:
        return Principal(
            tenant_id=self.tenant_id,
            user_id=self.user_id,
            email=self.email,
            role=self.role,
            operator=self.operator,
            scopes=scopes,
            client_ids=self.client_ids,
        )

    @property
    def generation(self) -> int:
        """Microseconds since 1970 of the last event that ended all tokens. A token carries the one it was made in."""
        return round(self.tokens_valid_after.timestamp() * 1_000_000)

    def covers(self, other: Account) -> bool:
        """Whether this account can do whatever the other can, so that acting on it gives nothing more."""
        return (
            self.tenant_id == other.tenant_id
            and self.role >= other.role
            and (self.operator or not other.operator)
            and covers_clients(self.client_ids, other.client_ids)
        )


class Standing(IntEnum):
    """Whether an account may still do what it asked for earlier; the first reason why not. Numbers as in the API."""

    GOOD = 1
    DISABLED = 2
    RIGHTS_MISSING = 3
    WORKSPACE_DISABLED = 4


def covers_clients(ours: frozenset[int] | None, theirs: frozenset[int] | None) -> bool:
    """Whether every client of theirs is one of ours; None is every client."""
    return ours is None or (theirs is not None and theirs <= ours)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key without its secret, of which only a digest is kept."""

    api_key_id: int
    user_id: int
    name: str
    prefix: str
    scopes: frozenset[str]
    disabled: bool
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ContainerToken:
    """What is kept of the one token of an import source."""

    import_source_id: UUID
    workspace_id: UUID
    user_id: int
    """On whose behalf it acts."""
    sealed: bytes
    created_at: datetime
    used_at: datetime | None
    """To about a minute."""


@dataclass(frozen=True, slots=True)
class Workspace:
    workspace_id: UUID
    dialect: str
    name: str
    disabled: bool
    own_bucket_id: str | None = None
    """As it was given when the workspace was made."""

    @property
    def bucket_id(self) -> str:
        """What clients of the AppFile API call the workspace's one bucket."""
        return self.own_bucket_id or f"bk-{self.workspace_id.hex}"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: list[T]
    next_token: str


APPFILE = "appfile"
ASSETS = "assets"
DIALECTS_WITH_WORKSPACES = frozenset({APPFILE, ASSETS})
