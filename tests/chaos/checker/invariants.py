"""The invariants, each a function from a history and a world to its violations.

INV1 to INV11 are what a run of any length, under any faults, may never break. None of them looks at which faults there
were. ACK is the one rule about the protocol itself: the database hides what an early ack does until the moment when a
worker dies in between, so it is judged by what passed on the wire.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.chaos.checker.history import History
from tests.chaos.checker.world import TERMINAL, Import, Rows, Transition, World

MEBIBYTE = 1024 * 1024
# Worker and parser children together (DESIGN §7 says 300 MiB for a large import), and what leaks would pass first.
MOST_RESIDENT_BYTES = 512 * MEBIBYTE
MOST_FILES = 512
# Pools give connections back late and sockets linger: less than one for each import that could be in hand.
SLACK = 16

# What a client may never be shown: traces, SQL, drivers, paths, signatures.
INDECENT = re.compile(
    r"Traceback|File \"|\bSELECT \w|\bINSERT INTO\b|\bUPDATE \w+ SET\b|psycopg|sqlalchemy|asyncio\.|grpc\.aio"
    r"|/root/|/home/|/tmp/|site-packages|X-Amz-Signature=|nats://|postgresql"
)
CODE = re.compile(r"[A-Z][A-Z_]*[A-Z]")


@dataclass(frozen=True)
class Violation:
    """An invariant that does not hold, and by what one sees it."""

    invariant: str
    evidence: str


Evidence = Iterator[str]


def inv1_no_accepted_job_is_lost(history: History, world: World) -> Evidence:
    """Every trigger that a client was told has worked is terminal after the quiet, in a state that its file allows."""
    known = world.by_id()
    for name, import_ids in history.accepted().items():
        job = history.job_of(name)
        for import_id in sorted(import_ids):
            found = known.get(import_id)
            if found is None:
                yield f"job {name}: import {import_id} was accepted, and there is none"
            elif found.state not in TERMINAL:
                yield f"job {name}: import {import_id} is still {found.state}"
            elif found.state not in job.states or (found.state == "FAILED" and found.error_code not in job.codes):
                yield f"job {name} ({job.content}): ended {found.state} {found.error_code}, not in {job.states}"


def inv2_rows_are_those_of_a_run_without_faults(history: History, world: World) -> Evidence:
    """Each report holds exactly what its one job brings; one job is one import, however often it was triggered."""
    by_request: dict[tuple[int, str], list[Import]] = defaultdict(list)
    for each in world.imports:
        if each.kind == "import":
            by_request[each.tenant, each.request_id].append(each)
    for job in history.jobs:
        imports = by_request.pop((job.tenant, job.name), [])
        if len(imports) > 1:
            yield f"job {job.name}: {len(imports)} imports"
        rows = world.reports.get(job.report_id, Rows())
        succeeded = any(each.stands for each in imports)
        golden = history.golden.get(job.content)
        if not succeeded and rows.total:
            yield f"job {job.name}: {rows.total} rows of a job that left none"
        if succeeded and golden is None:
            yield f"job {job.name}: succeeded, and nobody knows what {job.content} should bring"
        elif succeeded and golden is not None and (rows.digest, rows.total) != (golden.digest, golden.rows):
            yield f"job {job.name} ({job.content}): {rows.total} rows {rows.digest}, not {golden.rows} {golden.digest}"
    for (_, request_id), imports in by_request.items():
        yield f"imports that no client asked for: {[each.import_id for each in imports]} ({request_id})"


def inv3_rows_are_seen_with_their_import_complete(history: History, world: World) -> Evidence:
    """No reader ever saw a row of an import that was not SUCCEEDED at that moment, nor some of its rows."""
    final = {each.import_id: each.findings for each in world.imports if each.state == "SUCCEEDED"}
    for sight in history.sights:
        if sight.rows and sight.state != "SUCCEEDED":
            yield f"import {sight.import_id}: {sight.rows} findings while it was {sight.state}"
        elif sight.rows and sight.rows != final.get(sight.import_id, sight.rows):
            yield f"import {sight.import_id}: {sight.rows} of {final[sight.import_id]} findings"
    done = {each.import_id: each.at for each in world.transitions if each.after == "SUCCEEDED"}
    for call in history.calls:
        if call.operation == "findings" and call.rows > 0 and call.ended < done.get(call.import_id, float("inf")):
            yield f"import {call.import_id}: a client read {call.rows} findings before it was SUCCEEDED"


def inv4_only_the_latest_attempt_writes(history: History, world: World) -> Evidence:
    """For every committed write the attempt of the writer was the latest at the commit."""
    for write in world.writes:
        if write.attempt != write.attempt_at_commit:
            yield (
                f"import {write.import_id}: {write.worker} wrote {write.relation} as attempt {write.attempt} "
                f"when attempt {write.attempt_at_commit} had begun"
            )


def inv5_an_end_is_final_and_told_once(history: History, world: World) -> Evidence:
    """One terminal transition for each import, nothing after it, one announcement and one event of the same state."""
    for transition in world.transitions:
        if transition.before in TERMINAL:
            yield f"import {transition.import_id}: {transition.before} became {transition.after}"
    ends = Counter(each.import_id for each in world.transitions if each.after in TERMINAL)
    for each in world.imports:
        expected = int(each.state in TERMINAL)
        if ends[each.import_id] != expected:
            yield f"import {each.import_id}: {each.state} by {ends[each.import_id]} terminal transitions"
        if world.announced.get(each.import_id, 0) != expected:
            yield f"import {each.import_id}: its end was announced {world.announced.get(each.import_id, 0)} times"
    if world.events is not None:
        yield from _events(world)


def _events(world: World) -> Evidence:
    """A repeated publish of one event has its id and is no second event."""
    told: dict[str, dict[str, str]] = defaultdict(dict)
    for event in world.events or ():
        told[event.import_id][event.event_id] = event.state
    for each in world.imports:
        states = list(told[each.import_id].values())
        if states != [each.state] * (each.state in TERMINAL):
            yield f"import {each.import_id}: is {each.state}, events tell {states}"


def inv6_nothing_crosses_tenants(history: History, world: World) -> Evidence:
    """No answer to one tenant speaks of another's import; no row and no event carries a foreign tenant."""
    tenant_of = {each.import_id: each.tenant for each in world.imports}
    for call in history.calls:
        if call.foreign and call.status not in {0, 404} and call.status < 500:
            yield f"tenant {call.tenant} asked for import {call.import_id} of another and was answered {call.status}"
        for import_id, tenant in tenant_of.items():
            # An id that the caller named itself may stand in the refusal.
            if tenant != call.tenant and import_id in call.body and import_id != call.import_id:
                yield f"{call.operation}: tenant {call.tenant} was told of import {import_id} of tenant {tenant}"
    for stray in world.strays:
        if stray.why == "tenant":
            yield f"{stray.count} rows of {stray.relation} carry import {stray.import_id} of another tenant"
    for event in world.events or ():
        if tenant_of.get(event.import_id, event.tenant) != event.tenant or f".{event.tenant}." not in event.subject:
            yield f"event {event.event_id} of import {event.import_id} was told to tenant {event.tenant}"


def inv7_everything_is_bounded(history: History, world: World) -> Evidence:
    """Memory, files and connections stay under limits and come back; no file is larger than allowed or than noted."""
    before: dict[str, tuple[int, int]] = {}
    for each in history.resources:
        if each.resident_bytes > MOST_RESIDENT_BYTES or each.files > MOST_FILES:
            yield f"{each.process}: {each.resident_bytes // MEBIBYTE} MiB, {each.files} files"
        if each.phase == "before":
            before[each.process] = (each.files, each.connections)
        if each.phase == "after" and each.process in before:
            files, connections = before[each.process]
            if each.files > files + SLACK or each.connections > connections + SLACK:
                yield f"{each.process}: {files} files became {each.files}, {connections} connections {each.connections}"
    for found in world.imports:
        if found.input_bytes != found.object_bytes and not found.purged:
            yield f"import {found.import_id}: {found.object_bytes} bytes were noted as {found.input_bytes}"
        limit = world.limits.get(found.tenant)
        if limit is not None and found.object_bytes > limit:
            yield f"import {found.import_id}: {found.object_bytes} bytes, and {limit} are allowed"


def inv8_nothing_is_left_at_rest(history: History, world: World) -> Evidence:
    """No message, outbox row, staging table, checkpoint, lease or request outlives what it was for."""
    yield from (f"{count} {what}" for what, count in sorted(world.left.items()) if count)


def inv9_progress_never_goes_back(history: History, world: World) -> Evidence:
    """(attempt, percent, bytes, items) of an import never decreases; what it reports in the end are its rows."""
    latest: dict[str, tuple[int, int, int, int]] = {}
    for sight in sorted(history.sights, key=lambda each: each.at):
        now = (sight.attempt, sight.percent, sight.bytes, sight.read)
        last = latest.setdefault(sight.import_id, now)
        if now[0] < last[0] or (now[0] == last[0] and any(a < b for a, b in zip(now[1:], last[1:], strict=True))):
            yield f"import {sight.import_id}: {last} became {now}"
        latest[sight.import_id] = now
    for each in world.imports:
        rows = world.reports.get(each.report_id)
        if each.stands and rows is not None:
            reported = (each.findings, each.finding_assets, each.evidence)
            if reported != (rows.findings, rows.finding_assets, rows.evidence):
                yield f"import {each.import_id}: reports {reported}, there are {rows}"
        if each.state == "SUCCEEDED" and each.errors_kept != min(each.rejected, 1_000):
            yield f"import {each.import_id}: {each.rejected} rejected, {each.errors_kept} row errors"


def inv10_errors_are_typed_and_decent(history: History, world: World) -> Evidence:
    """Every failure has a code and a message; no text for clients shows a trace, SQL, a path or a secret."""
    for each in world.imports:
        if each.state == "FAILED" and not (CODE.fullmatch(each.error_code) and each.error_message):
            yield f"import {each.import_id}: failed with code {each.error_code!r}, message {each.error_message!r}"
        yield from _indecent(f"import {each.import_id}", each.error_message, world.secrets)
    for call in history.calls:
        if call.status >= 400 and "message" not in call.body.lower():
            yield f"{call.operation}: {call.status} without a message: {call.body[:200]}"
        if call.status >= 400:
            yield from _indecent(call.operation, call.body, world.secrets)
        elif any(secret in call.body for secret in world.secrets):
            yield f"{call.operation}: an answer shows a secret"


def _indecent(what: str, text: str, secrets: tuple[str, ...]) -> Evidence:
    if found := INDECENT.search(text):
        yield f"{what}: a client reads {found[0]!r}"
    if any(secret in text for secret in secrets):
        yield f"{what}: a client reads a secret"


def inv11_every_item_has_one_outcome(history: History, world: World) -> Evidence:
    """Items read = inserted + updated + unchanged + deleted + skipped + rejected, for every import that succeeded."""
    for each in world.imports:
        total = each.inserted + each.updated + each.unchanged + each.deleted + each.skipped + each.rejected
        if each.state == "SUCCEEDED" and each.read != total:
            yield f"import {each.import_id}: {each.read} items read, {total} outcomes"


def ack_follows_the_commit(history: History, world: World) -> Evidence:
    """The first delivery of an import's only message is acked when the import has left the worker, and not before.

    Messages of imports that were sent again are left out: a worker that finds another at work acks its own copy.
    """
    sequences = Counter(sequence for sequence, _ in world.dispatches)
    sent = Counter(import_id for _, import_id in world.dispatches)
    only = {number: each for number, each in world.dispatches if sequences[number] == 1 and sent[each] == 1}
    for ack in history.acks:
        import_id = only.get(ack.sequence)
        if import_id is None or ack.word != "+ACK" or ack.delivered != 1:
            continue
        if not any(each.import_id == import_id and each.at <= ack.at and _is_out(each) for each in world.transitions):
            yield f"import {import_id}: message {ack.sequence} was acked before the import had left its worker"


def _is_out(transition: Transition) -> bool:
    """Whether nobody works on the import after it: it has ended, was handed back, or waits for a person."""
    return transition.before == "RUNNING" or transition.after in {*TERMINAL, "PAUSED"}


INVARIANTS: dict[str, Callable[[History, World], Evidence]] = {
    "INV1": inv1_no_accepted_job_is_lost,
    "INV2": inv2_rows_are_those_of_a_run_without_faults,
    "INV3": inv3_rows_are_seen_with_their_import_complete,
    "INV4": inv4_only_the_latest_attempt_writes,
    "INV5": inv5_an_end_is_final_and_told_once,
    "INV6": inv6_nothing_crosses_tenants,
    "INV7": inv7_everything_is_bounded,
    "INV8": inv8_nothing_is_left_at_rest,
    "INV9": inv9_progress_never_goes_back,
    "INV10": inv10_errors_are_typed_and_decent,
    "INV11": inv11_every_item_has_one_outcome,
    "ACK": ack_follows_the_commit,
}


def check(history: History, world: World) -> list[Violation]:
    """All violations. A history that never came to rest proves nothing and is refused."""
    if not history.is_quiet:
        message = "the history has no end: the run was cut off before everything was healed and quiet"
        raise ValueError(message)
    return [Violation(name, each) for name, holds in INVARIANTS.items() for each in holds(history, world)]
