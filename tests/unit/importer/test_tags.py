from __future__ import annotations

import pytest

from runtime.errors import InvalidArgument
from services.importer.tags import normal_tags, tags_of_file


def test_tags_are_lower_case_with_underscores() -> None:
    assert normal_tags(["Web App", "  Züri\tNord ", "a\0b"]) == ("web_app", "züri_nord", "a_b")


def test_tags_keep_letters_digits_underscores_and_colons() -> None:
    given = ["PCI-DSS 3.2.1", "OWASP:A01", "Web - App", "a/b (c)", "under_score"]
    assert normal_tags(given) == ("pci_dss_321", "owasp:a01", "web_app", "ab_c", "under_score")


@pytest.mark.parametrize("tag", ["***", "-", "_:_"])
def test_a_tag_of_which_nothing_would_be_left_is_refused(tag: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        normal_tags(["a", tag])
    assert refusal.value.reason == "INVALID_TAGS"


def test_blanks_and_repetitions_go() -> None:
    assert normal_tags(["b", "", " \u00a0 ", "a", "B", "\0"]) == ("b", "a")


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


def test_tags_of_a_file_are_normal_too() -> None:
    assert tags_of_file(("Web App", "web-app", " ", "SAST")) == (["web_app", "sast"], 0)
    assert tags_of_file(()) == ([], 0)


@pytest.mark.parametrize(
    ("tags", "kept", "left_out"),
    [
        (("a", "***"), 1, 1),
        (("a", "x" * 256), 1, 1),
        (("a", "x" * 100_000), 1, 1),
        (tuple(str(number) for number in range(150)), 100, 50),
    ],
)
def test_of_a_file_what_cannot_be_used_is_counted(tags: tuple[str, ...], kept: int, left_out: int) -> None:
    usable, count = tags_of_file(tags)
    assert (len(usable), count) == (kept, left_out)
