"""Triggers at a fixed rate, whatever the answers do: how long the gateway takes, with NATS and without it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import httpx

from bench.documents import burp
from bench.live import Live
from bench.options import Options, say, write_file
from bench.rows import Row, milliseconds, percentile
from bench.sampling import CpuTime
from deploy.local.programs import Program

PER_SECOND = 50
SECONDS = 20
QUICK_SECONDS = 2
WARM_UP = 20
BAR, BAR_WITHOUT_QUEUE = 0.1, 0.2
DRAIN_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Answers:
    """Times from the moment a call was due, so that a late answer also counts for the calls that wait behind it."""

    seconds: list[float]
    refused: int

    @property
    def worst(self) -> float:
        return percentile(self.seconds, 0.99)


def measure(live: Live, options: Options) -> list[Row]:
    seconds = QUICK_SECONDS if options.quick else SECONDS
    path = options.folder / "trigger.burp"
    write_file(path, burp(1, body_bytes=512))
    calls = PER_SECOND * seconds
    # The first calls fill pools and caches; a system in use has done that long ago.
    _offer(live, path, WARM_UP)
    _drain(live)
    importer = CpuTime(live.process("importer"))
    offered = _offer(live, path, calls)
    importer.sample()
    each = importer.root_seconds / calls
    say(f"{calls} triggers: p99 {milliseconds(offered.worst)}; waiting until they are done")
    done = [_drain(live)]
    nats = next(program for program in live.stack.servers() if program.name == "nats")
    live.stack.supervisor.stop_program(nats)
    try:
        without = _offer(live, path, calls)
    finally:
        _start(live, nats)
    say(f"{calls} triggers without NATS: p99 {milliseconds(without.worst)}; waiting until they are done")
    done.append(_drain(live))
    return [
        _row(f"Trigger at {PER_SECOND}/s for {seconds} s, p99", offered, BAR, done[0]),
        _row("The same with NATS stopped, p99", without, BAR_WITHOUT_QUEUE, done[1]),
        Row("CPU of the importer for one trigger and its dispatch", milliseconds(each)),
    ]


def _row(what: str, answers: Answers, bar: float, done: str) -> Row:
    middle = milliseconds(percentile(answers.seconds, 0.5))
    return Row(
        what,
        f"{milliseconds(answers.worst)} (p50 {middle}, {answers.refused} refused; {done})",
        bar=f"<= {milliseconds(bar)}, all complete",
        holds=answers.worst <= bar and not answers.refused and done.startswith("all complete"),
    )


def _offer(live: Live, path: Path, calls: int) -> Answers:
    report, key = live.report(), live.upload(path)
    target = f"/api/v2/client/{live.client_id}/report/{report}/preuploaded-import/burp"
    body = {"key": key, "fileName": "bench"}
    return asyncio.run(_offer_open_loop(live, target, body, calls))


async def _offer_open_loop(live: Live, target: str, body: dict[str, str], calls: int) -> Answers:
    seconds: list[float] = []
    refused = 0

    async def call(due: float) -> None:
        nonlocal refused
        try:
            response = await http.post(target, json=body)
        except httpx.HTTPError:
            refused += 1
        else:
            refused += not response.is_success
        seconds.append(perf_counter() - due)

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=PER_SECOND)
    async with httpx.AsyncClient(
        base_url=live.http.base_url, headers=live.http.headers, timeout=60, limits=limits
    ) as http:
        await http.get("/api/v2/whoami")
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(calls):
                due = began + number / PER_SECOND
                await asyncio.sleep(max(0.0, due - perf_counter()))
                group.create_task(call(due))
    return Answers(seconds, refused)


def _drain(live: Live) -> str:
    """Waits until no import is left that has not ended."""
    began = perf_counter()
    while True:
        states: dict[str, int] = dict(live.sql("SELECT state, count(*) FROM imports GROUP BY state"))
        left = sum(count for state, count in states.items() if state not in {"SUCCEEDED", "FAILED", "CANCELLED"})
        if not left:
            break
        if perf_counter() - began > DRAIN_SECONDS:
            return f"{left} unfinished after {DRAIN_SECONDS} s"
        time.sleep(0.5)
    failed = live.sql("SELECT count(*), min(error_code), min(error_message) FROM imports WHERE state = 'FAILED'")[0]
    if failed[0]:
        return f"{failed[0]} FAILED, {failed[1]}: {failed[2]}"
    return f"all complete {perf_counter() - began:.0f} s later"


def _start(live: Live, program: Program) -> None:
    live.stack.supervisor.start_programs([program])
    live.stack.wait_until_ready([program])
