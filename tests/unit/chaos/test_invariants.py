"""Each invariant by a run that breaks it and no other, beside the run that breaks none."""

# ruff: noqa: E501 - one line of the table for each broken run.

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.chaos.checker import history
from tests.chaos.checker.history import Ack, Call, Fault, Golden, History, Job, Quiet, Record, Resources, Sight
from tests.chaos.checker.invariants import INVARIANTS, check
from tests.chaos.checker.world import Event, Import, Rows, Stray, Transition, World, Write

ONE, TWO = "00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"
ROWS = Rows("digest", findings=2, finding_assets=3, evidence=3)

# Job `a` of tenant 1 succeeds, job `b` of tenant 2 is of a damaged file and fails.
RECORDS: list[Record] = [
    Job("a", 1, 500, "small", ["SUCCEEDED"]),
    Job("b", 2, 501, "damaged", ["FAILED"], ["TRUNCATED"]),
    Golden("small", "digest", 8),
    Call("trigger", 1, 1.0, 1.1, 200, job="a", import_id=ONE, body="{}"),
    Call("trigger", 2, 1.0, 1.1, 200, job="b", import_id=TWO, body="{}"),
    Fault(1.5, "kill -9 of the worker"),
    Sight(1.2, ONE, "QUEUED", 0, 0, 0, 0, 0),
    Sight(2.0, ONE, "RUNNING", 0, 1, 50, 100, 2),
    Sight(2.5, ONE, "RUNNING", 0, 2, 0, 0, 0),
    Sight(3.0, ONE, "SUCCEEDED", 2, 2, 100, 200, 5),
    Ack(4.0, 7, 1, "+ACK"),
    Ack(4.0, 8, 1, "+ACK"),
    Call("foreign", 2, 2.0, 2.1, 404, import_id=ONE, foreign=True, body='{"message": "There is no such import."}'),
    Call("findings", 1, 2.0, 2.9, 200, import_id=ONE, rows=0, body="[]"),
    Call("findings", 1, 3.0, 3.2, 200, import_id=ONE, rows=2, body="[]"),
    Resources(0.5, "before", "worker", 100 << 20, 40, 5),
    Resources(9.0, "after", "worker", 120 << 20, 44, 6),
    Quiet(9.5, 3.0),
]
DONE = Import(
    ONE, 1, 500, "a", "SUCCEEDED", read=5, inserted=3, skipped=1, rejected=1, errors_kept=1,
    findings=2, finding_assets=3, evidence=3, input_bytes=200, object_bytes=200,
)  # fmt: skip
FAILED = Import(TWO, 2, 501, "b", "FAILED", "TRUNCATED", "The file ends.", input_bytes=9, object_bytes=9)
WORLD = World(
    imports=[DONE, FAILED],
    reports={500: ROWS, 501: Rows()},
    transitions=[
        Transition(ONE, 1.0, "", "QUEUED"),
        Transition(ONE, 1.8, "QUEUED", "RUNNING"),
        Transition(ONE, 2.95, "RUNNING", "SUCCEEDED"),
        Transition(TWO, 1.0, "", "QUEUED"),
        Transition(TWO, 1.8, "QUEUED", "RUNNING"),
        Transition(TWO, 2.5, "RUNNING", "FAILED"),
    ],
    writes=[Write(ONE, "checkpoints", "w1", 1, 1), Write(ONE, "findings", "w2", 2, 2)],
    announced={ONE: 1, TWO: 1},
    events=[Event("e1", "events.1.succeeded", 1, ONE, "SUCCEEDED"), Event("e2", "events.2.failed", 2, TWO, "FAILED")],
    dispatches=[(7, ONE), (8, TWO)],
    limits={1: 1_000},
    left={"messages": 0, "rows of the outbox": 0},
    secrets=("hush-hush",),
)


def seen(*more: Record, without: type[Record] | None = None, **changed: Any) -> list[str]:
    """The invariants that a run breaks: with more records, without those of a kind, or with another world."""
    records = [each for each in RECORDS if without is None or not isinstance(each, without)]
    world = replace(WORLD, **changed)
    return sorted({each.invariant for each in check(History([*records, *more]), world)})


def imports(**changed: Any) -> list[Import]:
    return [replace(DONE, **changed), FAILED]


def moved(*more: Transition) -> list[Transition]:
    return [*WORLD.transitions, *more]


def test_a_good_run_breaks_nothing() -> None:
    assert seen() == []


BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("INV1", "an accepted job has no import", {"more": [
        Job("c", 1, 502, "small", ["SUCCEEDED"]), Call("trigger", 1, 1.0, 1.1, 200, job="c", import_id="gone"),
    ]}),
    ("INV1", "an import has not ended", {
        "imports": imports(state="RUNNING", findings=0), "reports": {500: Rows(), 501: Rows()}, "events": WORLD.events[1:] if WORLD.events else None,
        "announced": {TWO: 1}, "transitions": WORLD.transitions[:2] + WORLD.transitions[3:], "without": Ack | Sight | Call,
        "more": [Call("trigger", 1, 1.0, 1.1, 200, job="a", import_id=ONE)],
    }),
    ("INV1", "a good file failed", {"imports": [DONE, replace(FAILED, error_code="WORKER_CRASHED")]}),
    ("INV2", "rows differ from the golden ones", {"reports": {500: replace(ROWS, digest="other"), 501: Rows()}}),
    ("INV2", "a failed import left rows", {"reports": {500: ROWS, 501: Rows("x", 1)}}),
    ("INV2", "nobody knows what the content should bring", {"without": Golden}),
    ("INV3", "a reader saw rows of a running import", {"more": [Sight(2.1, ONE, "RUNNING", 2, 1, 95, 200, 5)], "without": Sight}),
    ("INV3", "a reader saw some of the rows", {"more": [Sight(3.1, ONE, "SUCCEEDED", 1, 2, 100, 200, 5)]}),
    ("INV3", "a client read rows before the end", {"more": [Call("findings", 1, 2.0, 2.5, 200, import_id=ONE, rows=2)]}),
    ("INV4", "an old attempt wrote", {"writes": [*WORLD.writes, Write(ONE, "checkpoints", "w1", 1, 2)]}),
    ("INV5", "two terminal transitions", {"transitions": moved(Transition(ONE, 3.5, "SUCCEEDED", "FAILED"))}),
    ("INV5", "a state left terminal", {"transitions": moved(Transition(TWO, 3.5, "FAILED", "QUEUED"))}),
    ("INV5", "an end was announced twice", {"announced": {ONE: 2, TWO: 1}}),
    ("INV5", "an end was never announced", {"announced": {ONE: 1}}),
    ("INV5", "an event is missing", {"events": WORLD.events[:1] if WORLD.events else None}),
    ("INV5", "an event tells another state", {"events": [
        Event("e1", "events.1.failed", 1, ONE, "FAILED"), Event("e2", "events.2.failed", 2, TWO, "FAILED"),
    ]}),
    ("INV5", "two events of one end", {"events": [*(WORLD.events or ()), Event("e3", "events.1.x", 1, ONE, "SUCCEEDED")]}),
    ("INV6", "a foreign import was answered", {"more": [Call("foreign", 2, 2.0, 2.1, 200, import_id=ONE, foreign=True, body="{}")]}),
    ("INV6", "a list tells of a foreign import", {"more": [Call("list", 2, 2.0, 2.1, 200, body=f'[{{"key": "{ONE}"}}]')]}),
    ("INV6", "rows carry a foreign import", {"strays": [Stray("findings", ONE, 3, "tenant")]}),
    ("INV6", "an event went to another tenant", {"events": [
        Event("e1", "events.2.succeeded", 2, ONE, "SUCCEEDED"), Event("e2", "events.2.failed", 2, TWO, "FAILED"),
    ]}),
    ("INV7", "memory without bound", {"more": [Resources(5.0, "during", "worker", 900 << 20, 40, 5)]}),
    ("INV7", "files leak", {"more": [Resources(9.1, "after", "worker", 100 << 20, 90, 5)]}),
    ("INV7", "a file is larger than its tenant may import", {"limits": {1: 100}}),
    ("INV7", "the noted size was believed", {"imports": imports(object_bytes=900)}),
    ("INV8", "a message is left", {"left": {"messages": 1}}),
    ("INV9", "percent went back", {"more": [Sight(2.2, ONE, "RUNNING", 0, 1, 40, 100, 2)]}),
    ("INV9", "an attempt went back", {"more": [Sight(2.8, ONE, "RUNNING", 0, 1, 60, 110, 3)]}),
    ("INV9", "reported counts are not the rows", {"imports": imports(evidence=4)}),
    ("INV9", "row errors are missing", {"imports": imports(errors_kept=0)}),
    ("INV10", "a failure has no code", {"imports": [DONE, replace(FAILED, error_code="")], "without": Job, "more": [
        RECORDS[0], Job("b", 2, 501, "damaged", ["FAILED"], [""]),
    ]}),
    ("INV10", "a failure shows a path", {"imports": [DONE, replace(FAILED, error_message="no /tmp/x")]}),
    ("INV10", "an answer shows SQL", {"more": [Call("detail", 1, 2.0, 2.1, 500, body='{"message": "SELECT x"}')]}),
    ("INV10", "an error has no message", {"more": [Call("detail", 1, 2.0, 2.1, 500, body="oops")]}),
    ("INV10", "an answer shows a secret", {"more": [Call("detail", 1, 2.0, 2.1, 200, body='{"x": "hush-hush"}')]}),
    ("INV11", "an item has no outcome", {"imports": imports(skipped=0)}),
    ("ACK", "a message was acked before its import had ended", {"more": [Ack(2.5, 7, 1, "+ACK")]}),
    ("ACK", "a message was acked before its import was claimed", {"more": [Ack(1.2, 7, 1, "+ACK")]}),
]  # fmt: skip


@pytest.mark.parametrize(("invariant", "what", "broken"), BROKEN, ids=[f"{name}: {what}" for name, what, _ in BROKEN])
def test_a_run_that_breaks_one_invariant_is_caught_by_that_one(
    invariant: str, what: str, broken: dict[str, Any]
) -> None:
    more = broken.pop("more", [])
    assert seen(*more, **broken) == [invariant]


def test_there_is_a_broken_run_for_every_invariant() -> None:
    assert {name for name, _, _ in BROKEN} == set(INVARIANTS)


def test_one_job_that_became_two_imports_is_caught() -> None:
    twice = [*WORLD.imports, replace(DONE, import_id="second")]
    found = check(History(RECORDS), replace(WORLD, imports=twice))
    assert "job a: 2 imports" in [each.evidence for each in found if each.invariant == "INV2"]


@pytest.mark.parametrize(
    "ack",
    [Ack(2.5, 7, 2, "+ACK"), Ack(2.5, 99, 1, "+ACK"), Ack(2.5, 7, 1, "-NAK")],
    ids=["of a second delivery", "of a message that nobody noted", "a nak"],
)
def test_an_ack_that_proves_nothing_is_no_violation(ack: Ack) -> None:
    assert seen(ack) == []


def test_acks_of_an_import_that_was_sent_again_prove_nothing() -> None:
    assert seen(Ack(2.5, 7, 1, "+ACK"), dispatches=[*WORLD.dispatches, (9, ONE)]) == []


def test_an_ack_after_a_hand_over_is_right() -> None:
    back = [
        *WORLD.transitions[:2],
        Transition(ONE, 2.0, "RUNNING", "QUEUED"),
        Transition(ONE, 2.2, "QUEUED", "RUNNING"),
        *WORLD.transitions[2:],
    ]
    assert seen(Ack(2.1, 7, 1, "+ACK"), transitions=back) == []


def test_a_repeated_event_of_the_same_id_is_one_event() -> None:
    assert seen(events=[*(WORLD.events or ()), *(WORLD.events or ())]) == []


def test_a_dry_run_that_leaves_rows_is_caught() -> None:
    assert seen(imports=imports(dry_run=True)) == ["INV2"]


def test_rows_that_an_undo_has_left_behind_are_caught() -> None:
    undo = replace(DONE, import_id="undo", kind="undo", request_id="", read=8, inserted=0, deleted=8, skipped=0, rejected=0,
                   errors_kept=0, input_bytes=0, object_bytes=0)  # fmt: skip
    more: dict[str, Any] = {
        "transitions": [*WORLD.transitions, Transition("undo", 5.0, "RUNNING", "SUCCEEDED")],
        "announced": {**WORLD.announced, "undo": 1},
        "events": [*(WORLD.events or ()), Event("e4", "events.1.succeeded", 1, "undo", "SUCCEEDED")],
    }
    undone = [replace(DONE, undone=True), FAILED, undo]
    assert seen(imports=undone, **more) == ["INV2"]
    assert seen(imports=undone, reports={500: Rows(), 501: Rows()}, **more) == []


def test_a_run_that_was_cut_off_is_not_judged() -> None:
    with pytest.raises(ValueError, match="no end"):
        check(History([each for each in RECORDS if not isinstance(each, Quiet)]), WORLD)


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_bytes(b"".join(history.encode(each) + b"\n" for each in RECORDS))
    assert (history.read(file).calls, history.read(file).jobs) == (History(RECORDS).calls, History(RECORDS).jobs)
    file.write_bytes(b'{"type": "gossip"}\n')
    with pytest.raises(msgspec.DecodeError):
        history.read(file)
