"""A webhook from its making to its replay, through the gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from hythe.importer.v1 import importer_pb2, webhooks_pb2
from hythe.importer.v1.webhooks_pb2_grpc import WebhookServiceStub
from tests.e2e.rest import Rest
from tests.receiver import Received, Receiver, receiving
from tests.scans import nessus
from tests.stack import LiveStack

SECONDS = 30
HOSTS, PLUGINS = 3, 4


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def service(stack: LiveStack) -> Iterator[Any]:
    """The stub of an administrator. Webhooks made here are gone afterwards."""
    with grpc.insecure_channel(stack.grpc) as channel:
        yield Native(WebhookServiceStub(channel), (("x-api-key", stack.api_key),))


class Native:
    def __init__(self, stub: WebhookServiceStub, metadata: Any) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, method: str) -> Any:
        request_type = getattr(webhooks_pb2, f"{method}Request")

        def call(**members: Any) -> Any:
            return getattr(self._stub, method)(request_type(**members), metadata=self._metadata, timeout=SECONDS)

        return call


def deliveries_of(service: Any, webhook_id: int, count: int) -> list[Any]:
    """Newest first, once so many are delivered."""
    done = threading.Event()
    for _ in range(SECONDS * 20):
        found = list(service.ListDeliveries(webhook_id=webhook_id).deliveries)
        if sum(each.state == webhooks_pb2.DELIVERY_STATE_DELIVERED for each in found) >= count:
            return found
        done.wait(0.05)
    raise AssertionError(f"not delivered: {found}")


def test_a_receiver_is_told_of_an_import_whose_findings_it_can_read_at_once(
    caller: Rest, service: Any, receiver: Receiver
) -> None:
    seen_on_receipt: list[int] = []

    def read(_: Received) -> int:
        seen_on_receipt.append(len(caller.flaws()))
        # The first attempt meets a receiver that is broken.
        return 500 if len(receiver.received) == 1 else 200

    receiver.answer = read
    made = service.CreateWebhook(
        webhook=webhooks_pb2.Webhook(
            url=receiver.url(), client_id=caller.client_id, states=[importer_pb2.STATE_SUCCEEDED]
        )
    )
    webhook_id = made.webhook.webhook_id
    try:
        row = caller.imported(nessus(hosts=HOSTS, plugins=PLUGINS))
        # It is tried again after ten seconds.
        (delivery,) = deliveries_of(service, webhook_id, 1)
        assert (delivery.attempts, delivery.status_code, delivery.import_id) == (2, 200, row["key"])
        assert seen_on_receipt == [PLUGINS, PLUGINS]
        first, second = receiver.received
        assert first.delivery_id == second.delivery_id == delivery.delivery_id
        assert all(request.is_signed_by(made.secret) for request in receiver.received)
        told = second.event["import"]
        assert (told["import_id"], told["state"], told["kind"]) == (row["key"], "SUCCEEDED", "import")
        assert (told["client_id"], told["report_id"]) == (caller.client_id, caller.report_id)
        assert told["counters"]["read"] == told["counters"]["inserted"] == HOSTS * PLUGINS

        again = service.ReplayDelivery(delivery_id=delivery.delivery_id).delivery
        newest, _ = deliveries_of(service, webhook_id, 2)
        assert (newest.delivery_id, newest.replay_of) == (again.delivery_id, delivery.delivery_id)
        assert receiver.received[-1].event == second.event
    finally:
        service.DeleteWebhook(webhook_id=webhook_id)
    assert webhook_id not in {each.webhook_id for each in service.ListWebhooks().webhooks}


def test_the_command_line_makes_and_removes_webhooks(stack: LiveStack, receiver: Receiver, tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HYTHE_")},
        "HYTHE_URL": stack.url,
        "HYTHE_GRPC": stack.grpc,
        "HYTHE_API_KEY": stack.api_key,
        "XDG_CONFIG_HOME": str(tmp_path),
    }

    def hythe(*arguments: str) -> Any:
        command = [str(Path(sys.executable).with_name("hythe")), "admin", "webhooks", *arguments, "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, json.loads(done.stdout)

    code, made = hythe("create", receiver.url(), "--state", "cancelled")
    assert code == 0, made
    assert made["secret"].startswith("whsec_")
    webhook_id = made["webhook"]["webhook_id"]
    assert webhook_id in [each["webhook_id"] for each in hythe("list")[1]["webhooks"]]
    assert hythe("deliveries", "--webhook", str(webhook_id))[1] == {"deliveries": []}
    assert hythe("delete", str(webhook_id))[0] == 0
    code, refused = hythe("delete", str(webhook_id))
    assert code != 0
    assert "WEBHOOK_NOT_FOUND" in json.dumps(refused)
    code, refused = hythe("create", "http://169.254.169.254/latest/meta-data/")
    assert code != 0
    assert "INVALID_WEBHOOK_URL" in json.dumps(refused)
