"""The native WebhookService."""

from __future__ import annotations

from typing import Any

import grpc

from hythe.importer.v1 import importer_pb2, webhooks_pb2
from hythe.importer.v1.webhooks_pb2_grpc import WebhookServiceServicer
from runtime.auth import current_principal
from runtime.errors import InvalidArgument
from runtime.timestamps import timestamp
from services.importer.model import State
from services.importer.webhooks import Delivery, Wanted, Webhook, Webhooks

Context = grpc.aio.ServicerContext[Any, Any]

ENDS = {importer_pb2.State.Value(f"STATE_{state}"): state for state in State if state.is_terminal}


class WebhookService(WebhookServiceServicer):
    """Converts, calls, converts back."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    async def CreateWebhook(
        self, request: webhooks_pb2.CreateWebhookRequest, context: Context
    ) -> webhooks_pb2.CreateWebhookResponse:
        asked = request.webhook
        wanted = Wanted(
            url=asked.url,
            description=asked.description,
            client_id=asked.client_id or None,
            states=tuple(map(end_of, asked.states)),
        )
        webhook, secret = await self._webhooks.create(current_principal(), wanted)
        return webhooks_pb2.CreateWebhookResponse(webhook=webhook_message(webhook), secret=secret)

    async def ListWebhooks(
        self, request: webhooks_pb2.ListWebhooksRequest, context: Context
    ) -> webhooks_pb2.ListWebhooksResponse:
        found = await self._webhooks.list(current_principal())
        return webhooks_pb2.ListWebhooksResponse(webhooks=map(webhook_message, found))

    async def DeleteWebhook(
        self, request: webhooks_pb2.DeleteWebhookRequest, context: Context
    ) -> webhooks_pb2.DeleteWebhookResponse:
        await self._webhooks.delete(current_principal(), request.webhook_id)
        return webhooks_pb2.DeleteWebhookResponse()

    async def ListDeliveries(
        self, request: webhooks_pb2.ListDeliveriesRequest, context: Context
    ) -> webhooks_pb2.ListDeliveriesResponse:
        page, token = await self._webhooks.deliveries(
            current_principal(),
            webhook_id=request.webhook_id or None,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return webhooks_pb2.ListDeliveriesResponse(deliveries=map(delivery_message, page), next_page_token=token)

    async def ReplayDelivery(
        self, request: webhooks_pb2.ReplayDeliveryRequest, context: Context
    ) -> webhooks_pb2.ReplayDeliveryResponse:
        made = await self._webhooks.replay(current_principal(), request.delivery_id)
        return webhooks_pb2.ReplayDeliveryResponse(delivery=delivery_message(made))


def end_of(state: int) -> State:
    if state not in ENDS:
        known = ", ".join(importer_pb2.State.Name(importer_pb2.State.ValueType(each)) for each in ENDS)
        raise InvalidArgument("INVALID_END", f"An import ends in one of: {known}.", field="states", known=known)
    return ENDS[importer_pb2.State.ValueType(state)]


def webhook_message(webhook: Webhook) -> webhooks_pb2.Webhook:
    return webhooks_pb2.Webhook(
        webhook_id=webhook.webhook_id,
        url=webhook.url,
        description=webhook.description,
        client_id=webhook.client_id or 0,
        states=[importer_pb2.State.Value(f"STATE_{state}") for state in webhook.states],
        create_time=timestamp(webhook.created_at),
    )


def delivery_message(delivery: Delivery) -> webhooks_pb2.Delivery:
    return webhooks_pb2.Delivery(
        delivery_id=str(delivery.delivery_id),
        webhook_id=delivery.webhook_id,
        import_id=str(delivery.import_id),
        event_id=delivery.event_id,
        state=webhooks_pb2.DeliveryState.Value(f"DELIVERY_STATE_{delivery.state}"),
        attempts=delivery.attempts,
        status_code=delivery.status_code or 0,
        error=delivery.error,
        replay_of=str(delivery.replay_of or ""),
        create_time=timestamp(delivery.created_at),
        attempt_time=timestamp(delivery.attempted_at),
        next_attempt_time=timestamp(delivery.next_at),
    )
