"""`hythe admin webhooks`: who is told by HTTP that an import has ended, and how that went."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from cli.admin.messages import moment, print_change, print_list, print_secret
from cli.context import Json, cli_of
from hythe.importer.v1 import importer_pb2 as importer
from hythe.importer.v1 import webhooks_pb2
from hythe.importer.v1.webhooks_pb2_grpc import WebhookServiceStub

PAGE_SIZE = 1_000

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Who is told by HTTP that an import has ended, and how that went."
)

WebhookId = Annotated[int, typer.Argument(metavar="ID", help="Id of the webhook.")]


class End(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def number(self) -> importer.State.ValueType:
        return importer.State.Value(f"STATE_{self.upper()}")


@app.command("create")
def create(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Where to: https://…")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    client: Annotated[int, typer.Option(min=0, help="Only imports into this client, by its id; 0: all.")] = 0,
    state: Annotated[list[End] | None, typer.Option(help="Only this end; may be repeated.")] = None,
    _json: Json = False,
) -> None:
    """Make a webhook. Its signing secret is printed once."""
    cli = cli_of(context)
    webhook = webhooks_pb2.Webhook(
        url=url, description=description, client_id=client, states=[one.number for one in state or []]
    )
    stub = WebhookServiceStub(cli.native.channel)
    made = cli.native.call(stub.CreateWebhook, webhooks_pb2.CreateWebhookRequest(webhook=webhook))
    print_secret(cli.output, made, f"Webhook {made.webhook.webhook_id}.", "Signing secret", made.secret)


@app.command("list")
def list_webhooks(context: typer.Context, _json: Json = False) -> None:
    """List the webhooks of the tenant, without their secrets."""
    cli = cli_of(context)
    stub = WebhookServiceStub(cli.native.channel)
    found = cli.native.call(stub.ListWebhooks, webhooks_pb2.ListWebhooksRequest()).webhooks
    rows = [
        (one.webhook_id, one.url, one.description, one.client_id or "all", ends_of(one), moment(one.create_time))
        for one in found
    ]
    print_list(cli.output, "webhooks", found, ["ID ", "URL", "Description", "Client", "Ends", "Made"], rows)


@app.command("delete")
def delete(context: typer.Context, webhook_id: WebhookId, _json: Json = False) -> None:
    """Remove a webhook and its delivery log. What is not delivered yet is not delivered any more."""
    cli = cli_of(context)
    stub = WebhookServiceStub(cli.native.channel)
    gone = cli.native.call(stub.DeleteWebhook, webhooks_pb2.DeleteWebhookRequest(webhook_id=webhook_id))
    print_change(cli.output, gone, f"Webhook {webhook_id} is removed.")


@app.command("deliveries")
def deliveries(
    context: typer.Context,
    webhook: Annotated[int, typer.Option(min=0, help="Only of this webhook, by its id; 0: all.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    _json: Json = False,
) -> None:
    """Show what was sent, and what came back."""
    cli = cli_of(context)
    stub = WebhookServiceStub(cli.native.channel)
    request = webhooks_pb2.ListDeliveriesRequest(webhook_id=webhook, page_size=min(limit, PAGE_SIZE))
    found = list(islice(cli.native.items(stub.ListDeliveries, request, lambda page: page.deliveries), limit))
    rows = [
        (one.delivery_id, one.webhook_id, one.import_id, state_name(one), one.attempts, one.status_code or "",
         moment(one.attempt_time), moment(one.next_attempt_time), one.error)
        for one in found
    ]  # fmt: skip
    columns = ["ID", "Webhook ", "Import", "State", "Attempts ", "Status ", "Last try", "Next try", "Reason"]
    print_list(cli.output, "deliveries", found, columns, rows)


@app.command("replay")
def replay(
    context: typer.Context,
    delivery_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the delivery.")],
    _json: Json = False,
) -> None:
    """Send the event of a delivery once more, now."""
    cli = cli_of(context)
    stub = WebhookServiceStub(cli.native.channel)
    made = cli.native.call(stub.ReplayDelivery, webhooks_pb2.ReplayDeliveryRequest(delivery_id=delivery_id))
    print_change(cli.output, made, f"Sent again as delivery {made.delivery.delivery_id}.")


def ends_of(webhook: webhooks_pb2.Webhook) -> str:
    names = (importer.State.Name(state).removeprefix("STATE_").lower() for state in webhook.states)
    return ", ".join(names) or "all"


def state_name(delivery: webhooks_pb2.Delivery) -> str:
    return webhooks_pb2.DeliveryState.Name(delivery.state).removeprefix("DELIVERY_STATE_").lower()
