"""What the reading side makes of rows, without a database."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dialects.assets.object_queries import navigation, object_query
from dialects.assets.objects import text_of
from dialects.assets.pictures import blank_icon
from dialects.assets.progress import progress_json, step_of
from dialects.assets.run_results import message_of
from dialects.assets.states import EXECUTION_STATUS, IMPORT_STATUS
from runtime.errors import InvalidArgument
from schema.importer import STATES
from services.status.object_types import in_tree

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
RUN: dict[str, Any] = {
    "import_id": UUID(int=1), "import_source_id": UUID(int=2), "source_type": "csv", "state": "RUNNING",
    "phase": "staging", "percent": 0, "read": 0, "processed_bytes": 0, "file_size": 0, "told_progress": None,
    "needs_fetch": False, "error_code": None,
    "waits": False, "is_scheduled": True, "dry_run": False, "user_id": 7, "user_email": "ada@example.com",
    "created_at": NOW, "started_at": None, "ended_at": None, "updated_at": NOW, "inserted": 0, "updated": 0,
    "unchanged": 0, "deleted": 0, "rejected": 0, "duplicate_of": None, "error_message": None, "entities": {},
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("phase", ["queued", "starting", "fetching", "staging", "adding objects", "paused", "failed"])
@pytest.mark.parametrize("percent", [0, 50, 90, 91, 100])
def test_every_state_has_a_step_and_units_that_fit(state: str, phase: str, percent: int) -> None:
    run = RUN | {"state": state, "phase": phase, "percent": percent, "read": percent}
    shown = progress_json(run, NOW + timedelta(minutes=1))
    assert 1 <= shown["currentStep"] <= shown["numberOfSteps"] == 6
    assert 0 <= shown["currentWorkUnits"] <= shown["currentStepTotalWorkUnits"]
    assert shown["status"] == IMPORT_STATUS[state]
    assert state in EXECUTION_STATUS
    assert ("finishedDate" in shown) == (state in {"SUCCEEDED", "FAILED", "CANCELLED"})
    assert shown["resultData"]["executedType"] == "SCHEDULED"


def test_the_steps_of_a_run_never_go_back() -> None:
    way = [
        RUN | {"state": "QUEUED", "phase": "queued"},
        RUN | {"phase": "starting"},
        RUN | {"phase": "staging"},
        RUN | {"phase": "staging", "percent": 10, "processed_bytes": 5, "read": 1},
        RUN | {"phase": "staging", "percent": 90, "processed_bytes": 50, "read": 9},
        RUN | {"phase": "preparing the merge", "percent": 90, "read": 9},
        RUN | {"phase": "waiting for other merges", "percent": 91, "read": 9},
        RUN | {"state": "SUCCEEDED", "phase": "done", "percent": 100, "read": 9},
    ]
    steps = [step_of(run) for run in way]
    assert steps == sorted(steps) == [1, 1, 3, 4, 4, 5, 5, 6]


def test_a_source_that_is_fetched_is_at_its_connection_until_all_of_it_is_there() -> None:
    run = RUN | {"source_type": "rest", "needs_fetch": True}
    begun = run | {"started_at": NOW}
    way = [
        run | {"state": "QUEUED", "phase": "queued"},
        begun | {"phase": "starting"},
        begun | {"phase": "fetching", "processed_bytes": 5, "read": 1},
        begun | {"state": "QUEUED", "phase": "fetching", "read": 1},
        begun | {"state": "QUEUED", "phase": "queued", "needs_fetch": False, "processed_bytes": 9, "read": 2},
        begun | {"phase": "starting", "needs_fetch": False},
        begun | {"phase": "staging", "needs_fetch": False},
    ]
    assert [step_of(each) for each in way] == [1, 2, 2, 2, 2, 2, 3]
    for state in ("FAILED", "CANCELLED", "PAUSED"):
        assert step_of(begun | {"state": state, "phase": state.lower(), "read": 1}) == 2
    failed = progress_json(begun | {"state": "FAILED", "phase": "failed", "error_code": "SOURCE_TIMEOUT"}, NOW)
    assert failed["resultData"]["errorCode"] == "SOURCE_TIMEOUT"
    assert "errorCode" not in progress_json(begun, NOW)["resultData"]


def test_nothing_to_import_is_said_of_nothing_alone() -> None:
    done = RUN | {"state": "SUCCEEDED"}
    assert message_of(done) == "No data to import"
    assert message_of(done | {"read": 2, "inserted": 2}).startswith("2 objects were created")
    assert message_of(done | {"read": 2, "inserted": 2, "dry_run": True}).startswith("2 objects would be created")
    assert str(UUID(int=9)) in message_of(done | {"read": 2, "duplicate_of": UUID(int=9)})


def test_a_body_goes_before_what_stands_behind_the_path() -> None:
    asked = object_query({"qlQuery": "", "startAt": 3.0, "maxResults": 5_000}, start=1, size=2, with_attributes=False)
    assert (asked.start, asked.size, asked.with_attributes) == (3, 1_000, False)
    asked = object_query({"qlQuery": "", "includeAttributes": True}, with_attributes=False)
    assert (asked.start, asked.size, asked.with_attributes) == (0, 25, True)


@pytest.mark.parametrize("body", [{"page": -1}, {"page": "2"}, {"resultPerPage": 1.5}, {"qlQuery": 7}])
def test_navigation_refuses_what_is_no_page(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        navigation(body)


def test_a_tree_of_types_has_parents_first_and_loses_none() -> None:
    def type_(number: int, parent: int | None, position: int = 0) -> dict[str, Any]:
        return {"object_type_id": number, "parent_id": parent, "position": position}

    types = [type_(1, 4), type_(2, None, 2), type_(3, 2), type_(4, None, 1), type_(5, 4, -1), type_(6, 99, 3)]
    assert [each["object_type_id"] for each in in_tree(types)] == [4, 5, 1, 2, 3, 6]


def test_values_are_texts() -> None:
    assert [text_of(each) for each in (True, False, 7, 0.5, "x")] == ["true", "false", "7", "0.5", "x"]


def test_the_blank_icon_is_a_png_of_48_by_48_pixels() -> None:
    image = blank_icon()
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(image[16:20]) == int.from_bytes(image[20:24]) == 48
    data = image.index(b"IDAT")
    length = int.from_bytes(image[data - 4 : data])
    assert len(zlib.decompress(image[data + 4 : data + 4 + length])) == 48 * 7
