"""Who is told by HTTP that an import has ended, and what has become of each telling. For administrators."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog

from runtime.auth import Principal, note_object
from runtime.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from runtime.outbound import BadUrl, Outbound
from runtime.sealing import Sealer
from runtime.texts import checked_text
from services.importer.model import State
from services.importer.signing import new_secret

log = structlog.get_logger(__name__)

MAX_DESCRIPTION = 255
MAX_WEBHOOKS = 50
"""Of one tenant. Each end of an import is a delivery to each of them."""
MAX_PAGE_SIZE = 1_000
DEFAULT_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for. `client_id` None: imports of every client; no states: every end."""

    url: str
    description: str
    client_id: int | None
    states: tuple[State, ...]


@dataclass(frozen=True, slots=True)
class NewWebhook:
    url: str
    description: str
    client_id: int | None
    states: tuple[State, ...]
    sealed_secret: bytes
    user_id: int


@dataclass(frozen=True, slots=True)
class Webhook:
    webhook_id: int
    url: str
    description: str
    client_id: int | None
    states: tuple[State, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """`state` is PENDING, DELIVERED or FAILED; `status_code` is that of the last answer, if there was one."""

    delivery_id: UUID
    webhook_id: int
    import_id: UUID
    event_id: str
    state: str
    attempts: int
    status_code: int | None
    error: str
    replay_of: UUID | None
    created_at: datetime
    attempted_at: datetime | None
    next_at: datetime | None


class WebhookStore(Protocol):
    """The webhooks of each tenant. `client_ids`: the only clients whose webhooks there are for the caller."""

    async def has_client(self, tenant_id: int, client_id: int) -> bool: ...

    async def add(self, tenant_id: int, new: NewWebhook, *, most: int) -> Webhook | None:
        """None: the tenant has as many as it may."""
        ...

    async def all(self, tenant_id: int, client_ids: Collection[int] | None) -> list[Webhook]: ...

    async def has(self, tenant_id: int, webhook_id: int, client_ids: Collection[int] | None) -> bool: ...

    async def remove(self, tenant_id: int, webhook_id: int, client_ids: Collection[int] | None) -> bool:
        """False: there is none."""
        ...

    async def deliveries(
        self,
        tenant_id: int,
        webhook_id: int | None,
        client_ids: Collection[int] | None,
        *,
        before: UUID | None,
        limit: int,
    ) -> list[Delivery]:
        """Newest first, those older than `before`."""
        ...

    async def replay(self, tenant_id: int, delivery_id: UUID, client_ids: Collection[int] | None) -> Delivery | None:
        """A new one, due now, with the payload of the old one; None: there is no such delivery."""
        ...


class Webhooks:
    """Commands on webhooks. Who is limited to certain clients sees the webhooks of these only."""

    def __init__(self, store: WebhookStore, outbound: Outbound, sealer: Sealer) -> None:
        self._store = store
        self._outbound = outbound
        self._sealer = sealer

    async def create(self, principal: Principal, wanted: Wanted) -> tuple[Webhook, str]:
        """The new webhook, and its secret, which is not to be had again."""
        url = self._checked_url(wanted.url)
        description = checked_text("description", wanted.description, max_length=MAX_DESCRIPTION)
        await self._require_client(principal, wanted.client_id)
        secret = new_secret()
        new = NewWebhook(
            url=url,
            description=description,
            client_id=wanted.client_id,
            states=tuple(dict.fromkeys(wanted.states)),
            sealed_secret=self._sealer.seal(secret),
            user_id=principal.user_id,
        )
        webhook = await self._store.add(principal.tenant_id, new, most=MAX_WEBHOOKS)
        if webhook is None:
            raise FailedPrecondition(
                "TOO_MANY_WEBHOOKS", f"A tenant has {MAX_WEBHOOKS} webhooks at most.", limit=str(MAX_WEBHOOKS)
            )
        note_object(webhook_id=webhook.webhook_id)
        log.info("webhook created", webhook_id=webhook.webhook_id)
        return webhook, secret

    async def list(self, principal: Principal) -> list[Webhook]:
        """In the order of their ids. There are few enough for one page."""
        return await self._store.all(principal.tenant_id, principal.client_ids)

    async def delete(self, principal: Principal, webhook_id: int) -> None:
        if not await self._store.remove(principal.tenant_id, webhook_id, principal.client_ids):
            raise webhook_not_found(webhook_id)
        log.info("webhook deleted", webhook_id=webhook_id)

    async def deliveries(
        self, principal: Principal, *, webhook_id: int | None, page_size: int, page_token: str
    ) -> tuple[Sequence[Delivery], str]:
        """A page of the log, newest first, and the token of the next one."""
        size, before = checked_size(page_size), before_delivery(page_token)
        tenant_id, client_ids = principal.tenant_id, principal.client_ids
        if webhook_id is not None and not await self._store.has(tenant_id, webhook_id, client_ids):
            raise webhook_not_found(webhook_id)
        found = await self._store.deliveries(tenant_id, webhook_id, client_ids, before=before, limit=size + 1)
        shown = found[:size]
        return shown, str(shown[-1].delivery_id) if len(found) > size else ""

    async def replay(self, principal: Principal, delivery_id: str) -> Delivery:
        """Sends an event to its webhook again, whatever became of it before."""
        made = None
        try:
            number = UUID(delivery_id)
        except ValueError:
            pass
        else:
            made = await self._store.replay(principal.tenant_id, number, principal.client_ids)
        if made is None:
            raise NotFound("DELIVERY_NOT_FOUND", "There is no such delivery.")
        note_object(delivery_id=made.delivery_id, webhook_id=made.webhook_id)
        return made

    def _checked_url(self, text: str) -> str:
        try:
            return str(self._outbound.check(text.strip()))
        except BadUrl as error:
            raise InvalidArgument("INVALID_WEBHOOK_URL", f"Nothing can be sent to this URL: {error}.") from None

    async def _require_client(self, principal: Principal, client_id: int | None) -> None:
        if client_id is None:
            if principal.client_ids is not None:
                raise PermissionDenied(
                    "CLIENT_GRANTS", "Your account is limited to certain clients: name the client of the webhook."
                )
            return
        may_see = principal.may_see_client(client_id)
        if not may_see or not await self._store.has_client(principal.tenant_id, client_id):
            raise NotFound("CLIENT_NOT_FOUND", f"There is no client {client_id}.", client_id=str(client_id))


def checked_size(page_size: int) -> int:
    """1 to 1,000; 0 means 100."""
    if not 0 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidArgument(
            "INVALID_PAGE_SIZE",
            f"page_size must be between 1 and {MAX_PAGE_SIZE}.",
            field="page_size",
            limit=str(MAX_PAGE_SIZE),
        )
    return page_size or DEFAULT_PAGE_SIZE


def before_delivery(page_token: str) -> UUID | None:
    try:
        return UUID(page_token) if page_token else None
    except ValueError:
        raise InvalidArgument(
            "INVALID_PAGE_TOKEN", "page_token is not one that this list gave.", field="page_token"
        ) from None


def webhook_not_found(webhook_id: int) -> NotFound:
    return NotFound("WEBHOOK_NOT_FOUND", f"There is no webhook {webhook_id}.", webhook_id=str(webhook_id))
