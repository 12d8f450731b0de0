"""Load that goes on while something is done to the stack: clients that upload, trigger and look, job after job."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.chaos.checker import history
from tests.chaos.checker.history import Job
from tests.chaos.clients import RETRIED, Caller, Errand
from tests.chaos.contents import Content
from tests.chaos.recording import Recorder
from tests.chaos.tenants import found_tenants
from tests.stack import LiveStack

CLIENTS = 3


@dataclass(frozen=True)
class Ended:
    """What came of the load."""

    jobs: int
    states: dict[str, int]
    crashes: int
    refused: list[str]
    """Calls whose answers no client would simply repeat."""


def under_load(stack: LiveStack, folder: Path, content: Content, work: Callable[[], None]) -> Ended:
    """Does the work while clients keep importing the content, and waits until each has seen its last import end."""
    recorder = Recorder(folder / "history.jsonl")
    tenant, other = found_tenants(stack, 2)
    caller = Caller(stack.url, tenant.key, tenant.tenant_id, recorder)
    stranger = Caller(stack.url, other.key, other.tenant_id, recorder)
    is_over, never = threading.Event(), threading.Event()

    def keep_importing(client: int) -> int:
        jobs = 0
        while not is_over.is_set():
            name = f"{tenant.tenant_id}-{client}-{jobs}"
            client_id, report_id = caller.place(name)
            job = Job(name, tenant.tenant_id, report_id, content.name, list(content.states))
            Errand(job, content, caller, stranger, client_id).run(never, random.Random(client))
            jobs += 1
        return jobs

    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            going = [pool.submit(keep_importing, client) for client in range(CLIENTS)]
            try:
                work()
            finally:
                is_over.set()
            jobs = sum(each.result() for each in going)
    finally:
        for each in (caller, stranger, recorder):
            each.close()
    with psycopg.connect(stack.database.superuser_url) as connection:
        query = "SELECT state, count(*), sum(crashes) FROM imports WHERE tenant_id = %s GROUP BY 1"
        rows = connection.execute(query, [tenant.tenant_id]).fetchall()
    calls = history.read(recorder.path).calls
    refused = [
        f"{call.operation}: {call.status} {call.body[:200]}"
        for call in calls
        if not call.is_ok and call.status not in RETRIED and not (call.foreign and call.status == 404)
    ]
    return Ended(jobs, {state: count for state, count, _ in rows}, sum(crashes for _, _, crashes in rows), refused)
