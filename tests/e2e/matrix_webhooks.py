"""The webhooks of a place: one whose receiver answers, and spare ones to be removed."""

from __future__ import annotations

import time
from typing import Any

import grpc

from hythe.importer.v1 import importer_pb2 as importer
from hythe.importer.v1 import webhooks_pb2 as webhooks
from hythe.importer.v1.webhooks_pb2_grpc import WebhookServiceStub

SECONDS = 60
SPARES = 12


class Webhooks:
    """What an administrator does with webhooks, over the native API."""

    def __init__(self, channel: grpc.Channel, metadata: Any) -> None:
        self._stub = WebhookServiceStub(channel)
        self._options = {"timeout": SECONDS, "metadata": metadata}

    def add(self, url: str, mark: str, client_id: int, state: Any = importer.STATE_SUCCEEDED) -> int:
        webhook = webhooks.Webhook(url=url, description=mark, client_id=client_id, states=[state])
        made = self._stub.CreateWebhook(webhooks.CreateWebhookRequest(webhook=webhook), **self._options)
        return int(made.webhook.webhook_id)

    def spares(self, mark: str, client_id: int) -> list[int]:
        """Nothing is ever cancelled here, so these get nothing."""
        return [self.add("https://receiver.example/", mark, client_id, importer.STATE_CANCELLED) for _ in range(SPARES)]

    def delivered(self, webhook_id: int) -> str:
        """A delivery that was made."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            request = webhooks.ListDeliveriesRequest(webhook_id=webhook_id)
            for each in self._stub.ListDeliveries(request, **self._options).deliveries:
                if each.state == webhooks.DELIVERY_STATE_DELIVERED:
                    return str(each.delivery_id)
            time.sleep(0.05)
        raise AssertionError(f"nothing was delivered to webhook {webhook_id}")

    def remove_all(self) -> None:
        """Nobody is to be told any more when the receiver is gone."""
        for each in self._stub.ListWebhooks(webhooks.ListWebhooksRequest(), **self._options).webhooks:
            self._stub.DeleteWebhook(webhooks.DeleteWebhookRequest(webhook_id=each.webhook_id), **self._options)
