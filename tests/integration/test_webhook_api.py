"""Webhooks and their delivery log by gRPC, over PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import psycopg
import pytest
from psycopg.rows import dict_row
from uuid_utils.compat import uuid7

from hythe.importer.v1 import importer_pb2, webhooks_pb2
from hythe.importer.v1.webhooks_pb2_grpc import WebhookServiceStub, add_WebhookServiceServicer_to_server
from runtime.auth import Principal, Role
from runtime.destinations import Destinations
from runtime.outbound import Outbound
from runtime.sealing import Sealer, new_key
from services.importer import webhooks
from services.importer.store.webhooks import SqlWebhookStore
from services.importer.webhook_service import WebhookService
from services.importer.webhooks import Webhooks
from tests.fakes.audit import FakeAudit
from tests.fakes.people import ADMIN, IMPORTER, STRANGER
from tests.integration.serving import connected, reason_of, served
from tests.stack import Database

if TYPE_CHECKING:  # The stub's asynchronous type is for the type checker only.
    from hythe.importer.v1.webhooks_pb2_grpc import WebhookServiceAsyncStub

URL = "https://receiver.example/hook"
KEY = new_key()


@dataclass
class Api:
    """The service, and the tables behind it: two clients of tenant 1, one of tenant 2."""

    native: WebhookServiceAsyncStub
    admin: psycopg.AsyncConnection[dict[str, Any]]
    clients: tuple[int, int, int]
    audit: FakeAudit

    async def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Past row-level security."""
        return await (await self.admin.execute(query.encode(), parameters)).fetchall()

    async def create(self, caller: str = "admin", url: str = URL, **members: Any) -> webhooks_pb2.CreateWebhookResponse:
        webhook = webhooks_pb2.Webhook(url=url, **members)
        request = webhooks_pb2.CreateWebhookRequest(webhook=webhook)
        return await self.native.CreateWebhook(request, metadata=as_(caller))

    async def webhooks(self, caller: str = "admin") -> list[webhooks_pb2.Webhook]:
        answer = await self.native.ListWebhooks(webhooks_pb2.ListWebhooksRequest(), metadata=as_(caller))
        return list(answer.webhooks)

    async def deliveries(self, caller: str = "admin", **members: Any) -> webhooks_pb2.ListDeliveriesResponse:
        return await self.native.ListDeliveries(webhooks_pb2.ListDeliveriesRequest(**members), metadata=as_(caller))

    async def delete(self, webhook_id: int, caller: str = "admin") -> None:
        await self.native.DeleteWebhook(webhooks_pb2.DeleteWebhookRequest(webhook_id=webhook_id), metadata=as_(caller))

    async def replay(self, delivery_id: str, caller: str = "admin") -> webhooks_pb2.Delivery:
        request = webhooks_pb2.ReplayDeliveryRequest(delivery_id=delivery_id)
        return (await self.native.ReplayDelivery(request, metadata=as_(caller))).delivery

    async def delivered(
        self, webhook_id: int, tenant_id: int = 1, count: int = 1, state: str = "DELIVERED"
    ) -> list[str]:
        """Deliveries of as many ends of imports, oldest first."""
        made = []
        for _ in range(count):
            import_id, delivery_id = str(uuid7()), str(uuid7())
            await self.rows(
                "INSERT INTO imports (tenant_id, import_id, client_id, target, source, key, file_name, file_type, "
                "file_size, lane, state, user_id, user_email) VALUES (%s, %s, 1, 'findings', 'nessus', 'k', 'f', 't', "
                "1, 'small', 'SUCCEEDED', 1, 'u') RETURNING 1",
                tenant_id,
                import_id,
            )
            await self.rows(
                "INSERT INTO webhook_deliveries (tenant_id, delivery_id, webhook_id, import_id, event_id, payload, "
                "state, attempts, status_code, error) VALUES (%s, %s, %s, %s, %s, '{}', %s, 2, 500, 'e') RETURNING 1",
                tenant_id,
                delivery_id,
                webhook_id,
                import_id,
                f"{import_id}.ended",
                state,
            )
            made.append(delivery_id)
        return made


def as_(caller: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", caller),)


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    connection = await psycopg.AsyncConnection.connect(database.superuser_url, autocommit=True, row_factory=dict_row)
    outbound = Outbound(Destinations())
    async with connected(database, "hythe_importer") as adapter, connection:
        ids = []
        for tenant_id in (1, 1, 2):
            made = await connection.execute(
                "INSERT INTO clients (tenant_id, name) VALUES (%s, 'c') RETURNING client_id", (tenant_id,)
            )
            row = await made.fetchone()
            assert row is not None
            ids.append(row["client_id"])
        limited = Principal(1, 12, "limited-admin@example.com", Role.ADMIN, client_ids=frozenset({ids[0]}))
        people = {"admin": ADMIN, "importer": IMPORTER, "stranger": STRANGER, "limited": limited}
        service = WebhookService(Webhooks(SqlWebhookStore(adapter), outbound, Sealer(KEY)))
        audit = FakeAudit()
        registrations = [partial(add_WebhookServiceServicer_to_server, service)]
        async with served(registrations, people, audit=audit) as channel:
            yield Api(WebhookServiceStub(channel), connection, (ids[0], ids[1], ids[2]), audit)
    await outbound.close()


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), reason_of(raised.value)


INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


async def test_a_webhook_is_made_with_a_secret_that_is_shown_once(api: Api) -> None:
    made = await api.create(
        description=" CI ", client_id=api.clients[0], states=[importer_pb2.STATE_FAILED, importer_pb2.STATE_FAILED]
    )
    assert made.secret.startswith("whsec_")
    assert (made.webhook.url, made.webhook.description, made.webhook.client_id) == (URL, "CI", api.clients[0])
    assert list(made.webhook.states) == [importer_pb2.STATE_FAILED]
    assert made.webhook.create_time.seconds
    assert await api.webhooks() == [made.webhook]
    (row,) = await api.rows("SELECT * FROM webhooks")
    assert (row["tenant_id"], row["user_id"], row["is_active"]) == (1, ADMIN.user_id, True)
    assert made.secret.encode() not in bytes(row["secret"]), "sealed"
    assert Sealer(KEY).unseal(bytes(row["secret"])) == made.secret
    assert (await api.create()).secret != made.secret


async def test_nothing_of_the_url_or_the_secret_is_in_the_audit_log(api: Api) -> None:
    made = await api.create(url=f"{URL}?token=abc")
    (event,) = api.audit.events
    assert event.object["webhook_id"] == str(made.webhook.webhook_id)
    assert "abc" not in str(event)
    assert made.secret not in str(event)


@pytest.mark.parametrize(
    "url", ["", "http://receiver.example/", "https://127.0.0.1/", "https://localhost/", "https://a:b@c.example/"]
)
async def test_a_url_that_nothing_may_be_sent_to_is_refused(api: Api, url: str) -> None:
    assert await refusal(api.create(url=url)) == (INVALID, "INVALID_WEBHOOK_URL")
    assert await api.webhooks() == []


@pytest.mark.parametrize(
    "state", [importer_pb2.STATE_UNSPECIFIED, importer_pb2.STATE_RUNNING, importer_pb2.STATE_QUEUED]
)
async def test_only_ends_can_be_waited_for(api: Api, state: importer_pb2.State) -> None:
    assert await refusal(api.create(states=[state])) == (INVALID, "INVALID_END")


async def test_a_long_description_and_an_unknown_client_are_refused(api: Api) -> None:
    assert await refusal(api.create(description="x" * 256)) == (INVALID, "FIELD_TOO_LONG")
    for client_id in (1, api.clients[2], -1):
        assert await refusal(api.create(client_id=client_id)) == (NOT_FOUND, "CLIENT_NOT_FOUND")


async def test_a_tenant_has_so_many_webhooks_and_no_more_also_when_all_come_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MAX_WEBHOOKS", 3)
    outcomes = await asyncio.gather(*(api.create() for _ in range(6)), return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert [reason_of(each) for each in refused] == ["TOO_MANY_WEBHOOKS"] * 3
    assert len(await api.webhooks()) == 3
    await api.create("stranger")


async def test_webhooks_are_for_administrators(api: Api) -> None:
    for call in (
        api.create("importer"), api.webhooks("importer"), api.deliveries("importer"), api.delete(1, "importer"),
        api.replay(str(uuid7()), "importer"),
    ):  # fmt: skip
        assert await refusal(call) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")


async def test_another_tenants_webhooks_are_not_there(api: Api) -> None:
    webhook_id = (await api.create()).webhook.webhook_id
    (delivery_id,) = await api.delivered(webhook_id)
    assert await api.webhooks("stranger") == []
    assert not (await api.deliveries("stranger")).deliveries
    assert await refusal(api.deliveries("stranger", webhook_id=webhook_id)) == (NOT_FOUND, "WEBHOOK_NOT_FOUND")
    assert await refusal(api.delete(webhook_id, "stranger")) == (NOT_FOUND, "WEBHOOK_NOT_FOUND")
    assert await refusal(api.replay(delivery_id, "stranger")) == (NOT_FOUND, "DELIVERY_NOT_FOUND")
    assert not (await api.deliveries("stranger", page_token=delivery_id)).deliveries
    assert len((await api.deliveries()).deliveries) == 1


async def test_who_is_limited_to_certain_clients_has_the_webhooks_of_these_only(api: Api) -> None:
    first, second, _ = api.clients
    assert await refusal(api.create("limited")) == (grpc.StatusCode.PERMISSION_DENIED, "CLIENT_GRANTS")
    assert await refusal(api.create("limited", client_id=second)) == (NOT_FOUND, "CLIENT_NOT_FOUND")
    mine = (await api.create("limited", client_id=first)).webhook
    hidden = [(await api.create()).webhook, (await api.create(client_id=second)).webhook]
    (seen,) = await api.delivered(mine.webhook_id)
    for each in hidden:
        (delivery_id,) = await api.delivered(each.webhook_id)
        assert await refusal(api.delete(each.webhook_id, "limited")) == (NOT_FOUND, "WEBHOOK_NOT_FOUND")
        assert await refusal(api.replay(delivery_id, "limited")) == (NOT_FOUND, "DELIVERY_NOT_FOUND")
    assert await api.webhooks("limited") == [mine]
    assert [each.delivery_id for each in (await api.deliveries("limited")).deliveries] == [seen]
    await api.delete(mine.webhook_id, "limited")
    assert await api.webhooks() == hidden


async def test_the_log_comes_in_pages_newest_first(api: Api) -> None:
    one, two = (await api.create()).webhook.webhook_id, (await api.create()).webhook.webhook_id
    older = await api.delivered(one, count=3)
    newer = await api.delivered(two, count=2, state="FAILED")
    expected = [*reversed(newer), *reversed(older)]
    found: list[str] = []
    token = ""
    while not found or token:
        page = await api.deliveries(page_size=2, page_token=token)
        found += [each.delivery_id for each in page.deliveries]
        token = page.next_page_token
    assert found == expected
    assert [each.delivery_id for each in (await api.deliveries(webhook_id=one)).deliveries] == older[::-1]
    (latest, *_) = (await api.deliveries()).deliveries
    assert (latest.webhook_id, latest.state, latest.attempts) == (two, webhooks_pb2.DELIVERY_STATE_FAILED, 2)
    assert (latest.status_code, latest.error, latest.replay_of) == (500, "e", "")
    assert latest.event_id == f"{latest.import_id}.ended"
    assert not latest.HasField("next_attempt_time")


async def test_a_page_that_is_none_is_refused(api: Api) -> None:
    for size in (-1, 1_001):
        assert await refusal(api.deliveries(page_size=size)) == (INVALID, "INVALID_PAGE_SIZE")
    assert await refusal(api.deliveries(page_token="x")) == (INVALID, "INVALID_PAGE_TOKEN")
    assert await refusal(api.deliveries(webhook_id=1)) == (NOT_FOUND, "WEBHOOK_NOT_FOUND")


async def test_a_removed_webhook_takes_its_log_and_what_waits_with_it(api: Api) -> None:
    one, two = (await api.create()).webhook.webhook_id, (await api.create()).webhook.webhook_id
    await api.replay((await api.delivered(one))[0])
    (kept,) = await api.delivered(two)
    await api.replay(kept)
    await api.delete(one)
    assert [each.webhook_id for each in await api.webhooks()] == [two]
    assert {row["webhook_id"] for row in await api.rows("SELECT webhook_id FROM webhook_deliveries")} == {two}
    assert [row["lane"] for row in await api.rows("SELECT lane FROM outbox")] == [str(two)]
    assert await refusal(api.delete(one)) == (NOT_FOUND, "WEBHOOK_NOT_FOUND")


async def test_a_replay_is_a_new_delivery_of_the_same_event_that_is_due_now(api: Api) -> None:
    webhook_id = (await api.create()).webhook.webhook_id
    (first,) = await api.delivered(webhook_id)
    made = await api.replay(first)
    assert (made.webhook_id, made.replay_of, made.attempts) == (webhook_id, first, 0)
    assert made.state == webhooks_pb2.DELIVERY_STATE_PENDING
    (old, new) = await api.rows("SELECT * FROM webhook_deliveries ORDER BY delivery_id")
    assert (str(new["delivery_id"]), str(old["delivery_id"])) == (made.delivery_id, first)
    assert (new["event_id"], new["payload"], new["import_id"]) == (old["event_id"], old["payload"], old["import_id"])
    (waiting,) = await api.rows("SELECT *, next_at <= now() AS is_due FROM outbox")
    assert (waiting["topic"], str(waiting["item_id"]), waiting["lane"], waiting["is_due"]) == (
        "webhook", made.delivery_id, str(webhook_id), True,
    )  # fmt: skip
    again = await api.replay(made.delivery_id)
    assert again.replay_of == made.delivery_id
    assert api.audit.events[-1].object["delivery_id"] == again.delivery_id


@pytest.mark.parametrize("delivery_id", ["", "x", "00000000-0000-0000-0000-000000000007"])
async def test_what_is_no_delivery_cannot_be_replayed(api: Api, delivery_id: str) -> None:
    assert await refusal(api.replay(delivery_id)) == (NOT_FOUND, "DELIVERY_NOT_FOUND")
