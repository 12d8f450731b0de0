"""Server-sent events as a client reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.e2e.recorder import URI, contract


@dataclass(frozen=True)
class Event:
    """One event, or a comment (`kind` is then "comment" and `data` its text)."""

    kind: str
    data: Any
    id: int = 0


@contextmanager
def events_of(http: httpx.Client, import_id: str) -> Iterator[Iterator[Event]]:
    """The events of an import while the block is open. Their data are held against the published document."""
    with http.stream(
        "GET", f"/api/v2/my-imports/{import_id}/events", headers={"accept": "text/event-stream"}
    ) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream"
        yield parse(answer.iter_lines())


def parse(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield Event("comment", line[1:].strip())
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield made(fields)
            fields = {}
        else:
            fields = {}


def made(fields: dict[str, str]) -> Event:
    data = json.loads(fields["data"])
    if fields["event"] == "import":
        contract().check_body({"$ref": f"{URI}#/components/schemas/MyImportDetail"}, data, "event")
    return Event(fields["event"], data, int(fields.get("id", "0")))
