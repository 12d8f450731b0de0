"""What is kept of the errors that object types had."""

from __future__ import annotations

from uuid import uuid4

from services.importer.engine.frames import Rejected
from services.importer.engine.progress import final_values
from services.importer.engine.target import Job, Outcomes, Tally
from services.importer.targets.objects import counters
from services.importer.targets.objects.rows import ObjectsStager


def rejected(ordinal: int, message: str, *types: int, code: str = "TYPE_MISMATCH", field: str = "Cores") -> Rejected:
    return Rejected(ordinal, f"line {ordinal}", field, code, message, "x", "", types)


def stager(tally: Tally) -> ObjectsStager:
    return ObjectsStager(Job(1, uuid4(), 0, None, "objects-csv", (), (), False), tally)


def test_the_first_different_messages_of_a_type_are_kept_with_their_codes() -> None:
    tally = Tally()
    staging = stager(tally)
    for ordinal in range(50):
        staging.reject(rejected(ordinal, "It is no number.", 3, 4))
        staging.reject(rejected(ordinal, f"It is not {ordinal}.", 3))
    staging.reject(rejected(99, "It is no object.", code="NOT_AN_OBJECT", field=""))
    assert len(tally.messages["3"]) == counters.MOST_OF_TYPE
    assert tally.messages["3"][:2] == [
        ["TYPE_MISMATCH", "Cores: It is no number."],
        ["TYPE_MISMATCH", "Cores: It is not 0."],
    ]
    assert tally.messages["4"] == [["TYPE_MISMATCH", "Cores: It is no number."]]
    assert tally.messages["0"] == [["NOT_AN_OBJECT", "It is no object."]]
    stored = final_values(tally, Outcomes(entities=tally.entities))["entities"]
    assert stored["4"] == {"entries": 50, "errors": 50, "messages": tally.messages["4"]}


def test_all_types_together_keep_so_many_and_none_is_long() -> None:
    tally = Tally()
    staging = stager(tally)
    for type_id in range(500):
        staging.reject(rejected(1, "x" * 1_000, type_id))
    assert sum(map(len, tally.messages.values())) == counters.MOST_MESSAGES
    assert {len(message) for each in tally.messages.values() for _, message in each} == {counters.LONGEST_MESSAGE}
