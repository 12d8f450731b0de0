"""What the streams and their consumers must be, and the making and mending of them.

`IMPORTS` is the work queue; `EVENTS` keeps what has happened for whoever wants to know, and has no consumer of ours.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import structlog
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

log = structlog.get_logger(__name__)

STREAM = "IMPORTS"
LANES = ("small", "large", "fetch")
"""A subject and a consumer each. The workers take from the first two, the fetcher from the third."""

EVENTS = "EVENTS"
EVENT_SUBJECTS = "events.>"
EVENT_AGE_SECONDS = 7 * 24 * 3600
EVENT_DUPLICATE_WINDOW_SECONDS = 3600
"""An event whose acknowledgement was lost is published again under the same id, now or after an outage."""

DUPLICATE_WINDOW_SECONDS = 120
MAX_MESSAGE_BYTES = 64 * 1024
ACK_WAIT_SECONDS = 60
MAX_DELIVER = 20
"""A backstop only: attempts are counted in the database."""

UNCHANGEABLE = ("retention", "storage")


class QueueMisconfigured(Exception):
    """The stream is there and is of a kind that cannot be changed: somebody has to remove it."""


def subject_of(lane: str) -> str:
    return f"imports.{lane}"


def stream_config(replicas: int) -> StreamConfig:
    return StreamConfig(
        name=STREAM,
        subjects=[subject_of(lane) for lane in LANES],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        # A full stream refuses to take more; it never drops what nobody has seen.
        discard=DiscardPolicy.NEW,
        max_age=0,
        max_msgs=-1,
        max_bytes=-1,
        max_msg_size=MAX_MESSAGE_BYTES,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        num_replicas=replicas,
    )


def events_config(replicas: int) -> StreamConfig:
    return StreamConfig(
        name=EVENTS,
        subjects=[EVENT_SUBJECTS],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        # Nobody is waited for: what is too old goes.
        discard=DiscardPolicy.OLD,
        max_age=EVENT_AGE_SECONDS,
        max_msgs=-1,
        max_bytes=-1,
        max_msg_size=MAX_MESSAGE_BYTES,
        duplicate_window=EVENT_DUPLICATE_WINDOW_SECONDS,
        num_replicas=replicas,
    )


def consumer_config(lane: str, max_ack_pending: int) -> ConsumerConfig:
    return ConsumerConfig(
        name=lane,
        durable_name=lane,
        filter_subject=subject_of(lane),
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_SECONDS,
        max_deliver=MAX_DELIVER,
        max_ack_pending=max_ack_pending,
    )


async def ensure(jetstream: JetStreamContext, *, replicas: int, max_ack_pending: int) -> None:
    await _ensure_stream(jetstream, stream_config(replicas))
    await _ensure_stream(jetstream, events_config(replicas))
    for lane in LANES:
        await _ensure_consumer(jetstream, consumer_config(lane, max_ack_pending))


async def _ensure_stream(jetstream: JetStreamContext, wanted: StreamConfig) -> None:
    stream = wanted.name or ""
    try:
        found = (await jetstream.stream_info(stream)).config
    except NotFoundError:
        await jetstream.add_stream(wanted)
        log.warning("stream created", stream=stream)
        return
    changes = differences(found, wanted)
    wrong = [name for name in UNCHANGEABLE if name in changes]
    if wrong:
        raise QueueMisconfigured(f"stream {stream}: {', '.join(f'{name} is {getattr(found, name)}' for name in wrong)}")
    if changes:
        await jetstream.update_stream(replace(found, **changes))
        log.warning("stream updated", stream=stream, changes=sorted(changes))


async def _ensure_consumer(jetstream: JetStreamContext, wanted: ConsumerConfig) -> None:
    lane = wanted.name or ""
    try:
        found = (await jetstream.consumer_info(STREAM, lane)).config
    except NotFoundError:
        await jetstream.add_consumer(STREAM, wanted)
        log.warning("consumer created", stream=STREAM, consumer=lane)
        return
    changes = differences(found, wanted)
    if changes:
        # Creating a durable consumer that exists updates it.
        await jetstream.add_consumer(STREAM, wanted)
        log.warning("consumer updated", stream=STREAM, consumer=lane, changes=sorted(changes))


def differences(found: StreamConfig | ConsumerConfig, wanted: StreamConfig | ConsumerConfig) -> dict[str, Any]:
    """What of the configuration that we state is otherwise; what we leave to the server is left out."""
    actual = asdict(found)
    return {name: value for name, value in asdict(wanted).items() if _is_stated(value) and actual[name] != value}


def _is_stated(value: object) -> bool:
    return value is not None and value is not False
