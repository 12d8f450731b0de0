from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from hythe.importer.v1 import importer_pb2 as importer
from hythe.importer.v1 import webhooks_pb2
from tests.fakes.channel import FakeChannel, refusal
from tests.unit.cli.conftest import Terminal

SERVICE = "/hythe.importer.v1.WebhookService/"
WEBHOOK = webhooks_pb2.Webhook(
    webhook_id=1_000, url="https://receiver.example/", description="CI", states=[importer.STATE_FAILED]
)


def answering(terminal: Terminal, method: str, answer: Any) -> FakeChannel:
    terminal.channel = FakeChannel({SERVICE + method: answer if callable(answer) else lambda _: answer})
    return terminal.channel


def test_a_webhook_is_made_and_its_secret_shown_once(terminal: Terminal) -> None:
    channel = answering(
        terminal, "CreateWebhook", webhooks_pb2.CreateWebhookResponse(webhook=WEBHOOK, secret="whsec_once")
    )
    outcome = terminal.run(
        "admin", "webhooks", "create", "https://receiver.example/",
        "--description", "CI", "--client", 7, "--state", "failed", "--state", "cancelled",
    )  # fmt: skip
    assert outcome.stdout.count("whsec_once") == 1
    assert "shown only now" in outcome.stderr
    (request,) = channel.asked("CreateWebhook")
    assert request.webhook == webhooks_pb2.Webhook(
        url="https://receiver.example/",
        description="CI",
        client_id=7,
        states=[importer.STATE_FAILED, importer.STATE_CANCELLED],
    )
    made = terminal.run("admin", "webhooks", "create", "https://receiver.example/", "--json").json
    assert (made["secret"], made["webhook"]["webhook_id"]) == ("whsec_once", 1_000)
    assert terminal.run("admin", "webhooks", "create", "https://a.example/", "--state", "running").exit_code == 2


def test_a_refusal_says_why(terminal: Terminal) -> None:
    def refused(_: Any) -> Any:
        raise refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_WEBHOOK_URL", "Nothing can be sent to this URL.")

    answering(terminal, "CreateWebhook", refused)
    outcome = terminal.run("admin", "webhooks", "create", "http://localhost/")
    assert outcome.exit_code != 0
    assert "Nothing can be sent to this URL." in outcome.stderr


def test_webhooks_are_listed_without_secrets(terminal: Terminal) -> None:
    everything = webhooks_pb2.Webhook(webhook_id=1_001, url="https://other.example/", client_id=7)
    answering(terminal, "ListWebhooks", webhooks_pb2.ListWebhooksResponse(webhooks=[WEBHOOK, everything]))
    outcome = terminal.run("admin", "webhooks", "list")
    words = outcome.stdout.replace("│", " ").split()
    assert "1000 https://receiver.example/ CI all failed" in " ".join(words)
    assert "1001 https://other.example/ 7 all" in " ".join(words)
    assert len(terminal.run("admin", "webhooks", "list", "--json").json["webhooks"]) == 2


def test_a_webhook_is_removed(terminal: Terminal) -> None:
    channel = answering(terminal, "DeleteWebhook", webhooks_pb2.DeleteWebhookResponse())
    assert terminal.run("admin", "webhooks", "delete", 1_000).stdout == "Webhook 1000 is removed.\n"
    assert channel.asked("DeleteWebhook")[0].webhook_id == 1_000


@pytest.mark.parametrize(("limit", "shown"), [(2, 2), (3, 3), (50, 4)])
def test_the_log_is_shown_page_by_page(terminal: Terminal, limit: int, shown: int) -> None:
    def page(request: webhooks_pb2.ListDeliveriesRequest) -> webhooks_pb2.ListDeliveriesResponse:
        first = int(request.page_token or 0)
        numbers = range(first, min(first + 2, 4))
        return webhooks_pb2.ListDeliveriesResponse(
            deliveries=[
                webhooks_pb2.Delivery(
                    delivery_id=f"d-{number}",
                    webhook_id=1_000,
                    import_id="i-1",
                    state=webhooks_pb2.DELIVERY_STATE_PENDING,
                    attempts=3,
                    status_code=503,
                    error="The receiver answered 503.",
                    next_attempt_time=Timestamp(seconds=1_700_000_000),
                )
                for number in numbers
            ],
            next_page_token="2" if first == 0 else "",
        )

    channel = answering(terminal, "ListDeliveries", page)
    found = terminal.run("admin", "webhooks", "deliveries", "--webhook", 1_000, "--limit", limit, "--json").json
    assert [one["delivery_id"] for one in found["deliveries"]] == [f"d-{number}" for number in range(shown)]
    assert channel.asked("ListDeliveries")[0].webhook_id == 1_000
    text = terminal.run("admin", "webhooks", "deliveries").stdout
    assert "pending" in text
    assert "503" in text


def test_a_delivery_is_replayed(terminal: Terminal) -> None:
    answer = webhooks_pb2.ReplayDeliveryResponse(delivery=webhooks_pb2.Delivery(delivery_id="d-2", replay_of="d-1"))
    channel = answering(terminal, "ReplayDelivery", answer)
    assert terminal.run("admin", "webhooks", "replay", "d-1").stdout == "Sent again as delivery d-2.\n"
    assert channel.asked("ReplayDelivery")[0].delivery_id == "d-1"
