from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from dialects.assets.import_sources import MODULE_KEYS, source_body
from dialects.assets.links import Links
from dialects.assets.members import number_of, whole_numbers
from dialects.assets.states import EXECUTION_STATUS, IMPORT_STATUS, config_status
from dialects.assets.times import moment
from runtime.errors import InvalidArgument
from services.importer.model import State

WORKSPACE, SOURCE, RUN = UUID(int=1), UUID(int=2), UUID(int=3)


def test_links_have_the_published_paths_below_our_own_origin() -> None:
    links = Links("https://hythe.example")
    source = f"https://hythe.example/jsm/assets/workspace/{WORKSPACE}/v1/importsource/{SOURCE}"
    assert links.of_source(WORKSPACE, SOURCE) == {
        "getStatus": f"{source}/configstatus",
        "start": f"{source}/executions",
        "mapping": f"{source}/mapping",
    }
    assert links.of_execution(WORKSPACE, SOURCE, RUN)["submitResults"] == f"{source}/executions/{RUN}/data"
    assert links.mapping_progress(WORKSPACE, SOURCE, RUN) == f"{source}/mapping/progress/{RUN}"


def test_times_are_in_utc_with_milliseconds() -> None:
    at = datetime(2021, 4, 20, 15, 57, 52, 404_999, tzinfo=timezone(timedelta(hours=2)))
    assert moment(at) == "2021-04-20T13:57:52.404Z"
    assert moment(datetime(2021, 4, 20, tzinfo=UTC)) == "2021-04-20T00:00:00.000Z"


def test_every_state_of_an_import_has_its_words() -> None:
    assert IMPORT_STATUS.keys() == EXECUTION_STATUS.keys() == set(State)


@pytest.mark.parametrize(
    ("running", "mapping", "enabled", "word"),
    [
        (True, True, False, "RUNNING"),
        (False, False, False, "DISABLED"),
        (False, False, True, "MISSING_MAPPING"),
        (False, True, True, "IDLE"),
    ],
)
def test_a_configuration_has_one_status(running: bool, mapping: bool, enabled: bool, word: str) -> None:
    assert config_status(is_running=running, has_mapping=mapping, is_enabled=enabled) == word


def test_a_type_may_be_named_by_its_module() -> None:
    for type_, key in MODULE_KEYS.items():
        assert source_body({"importSourceModuleKey": key}).type == type_
    assert source_body({"type": "csv", "importSourceModuleKey": MODULE_KEYS["json"]}).type == "csv"
    assert source_body({"importSourceModuleKey": "insight-discovery-import"}).type == "insight-discovery-import"


def test_numbers_may_be_texts_and_nothing_else() -> None:
    assert number_of("id", "12") == number_of("id", 12) == 12
    for wrong in ("", "-1", "0", 0, "1.5", 2**31, "9" * 50, True, None, "\u0661"):
        with pytest.raises(InvalidArgument):
            number_of("id", wrong)


def test_whole_numbers_are_whole_again() -> None:
    said = {"a": 1.0, "b": [2.5, {"c": -3.0}], "d": "4.0", "e": True, "f": None}
    assert whole_numbers(said) == {"a": 1, "b": [2.5, {"c": -3}], "d": "4.0", "e": True, "f": None}
    assert isinstance(whole_numbers(said)["a"], int)
