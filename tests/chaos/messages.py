"""Messages that come once more."""

from __future__ import annotations

import time

import psycopg
from nats import connect

from runtime.streams import subject_of
from services.importer import job_message
from tests.stack import LiveStack


async def publish_again(stack: LiveStack, import_id: str, lane: str = "") -> None:
    """As the dispatcher has done before; without a lane, in that where the import is now."""
    with psycopg.connect(stack.database.superuser_url) as connection:
        query = "SELECT tenant_id, import_id, lane FROM imports WHERE import_id = %s"
        row = connection.execute(query, [import_id]).fetchone()
    assert row is not None
    client = await connect(stack.nats_url)
    try:
        payload = job_message.encode(job_message.JobMessage(row[0], row[1]))
        await client.jetstream().publish(
            subject_of(lane or row[2]), payload, headers={"Nats-Msg-Id": f"again:{time.time_ns()}"}
        )
    finally:
        await client.close()
