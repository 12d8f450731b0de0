from __future__ import annotations

import pytest

from runtime.errors import InvalidArgument
from services.importer.tags import normal_tags


def test_tags_are_lower_case_with_underscores() -> None:
    assert normal_tags(["Web App", "  Züri\tNord ", "a\0b"]) == ("web_app", "züri_nord", "a_b")


def test_blanks_and_repetitions_go() -> None:
    assert normal_tags(["b", "", "  ", "a", "B", "\0"]) == ("b", "a")


def test_a_hundred_tags_of_255_characters_are_taken() -> None:
    tags = [f"{number:0255}" for number in range(100)]
    assert normal_tags(tags) == tuple(tags)


@pytest.mark.parametrize(
    ("tags", "reason"), [([str(number) for number in range(101)], "TOO_MANY_TAGS"), (["x" * 256], "TAG_TOO_LONG")]
)
def test_too_many_or_too_long_tags_are_refused(tags: list[str], reason: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        normal_tags(tags)
    assert refusal.value.reason == reason
