from __future__ import annotations

import hashlib
from typing import Any

import pytest

from services.importer.engine import gates
from services.importer.engine.failures import ImportFailure
from services.importer.engine.frames import Batch, Rejected, StagedItem
from services.importer.engine.target import Tally
from services.importer.policy import OnError, Options, Policy

DIGEST = hashlib.sha256(b"file").digest()


def code_of(options: Options, *, read: int, rejected: int = 0, digest: bytes | None = DIGEST) -> str | None:
    """Why the whole file is refused; None when it is not."""
    try:
        gates.check_whole(options, Tally(read=read, staged=read - rejected, rejected=rejected), digest)
    except ImportFailure as failure:
        return failure.code
    return None


def with_policy(on_error: OnError, **more: Any) -> Options:
    return Options(policy=Policy(on_error=on_error, **more))


@pytest.mark.parametrize(
    ("options", "rejected", "code"),
    [
        (with_policy(OnError.CONTINUE), 100, None),
        (with_policy(OnError.CONTINUE, max_errors=0, max_error_percent=0), 100, None),
        (with_policy(OnError.ABORT), 0, None),
        (with_policy(OnError.ABORT), 1, "TOO_MANY_ERRORS"),
        (with_policy(OnError.ALL_OR_NOTHING), 0, None),
        (with_policy(OnError.ALL_OR_NOTHING), 1, "TOO_MANY_ERRORS"),
        (with_policy(OnError.ABORT_ABOVE), 100, None),
        (with_policy(OnError.ABORT_ABOVE, max_errors=0), 1, "TOO_MANY_ERRORS"),
        (with_policy(OnError.ABORT_ABOVE, max_errors=7), 7, None),
        (with_policy(OnError.ABORT_ABOVE, max_errors=7), 8, "TOO_MANY_ERRORS"),
        (with_policy(OnError.ABORT_ABOVE, max_error_percent=7), 70, None),
        (with_policy(OnError.ABORT_ABOVE, max_error_percent=7), 71, "TOO_MANY_ERRORS"),
        (with_policy(OnError.ABORT_ABOVE, max_error_percent=0), 1, "TOO_MANY_ERRORS"),
        (with_policy(OnError.ABORT_ABOVE, max_error_percent=100), 1_000, None),
        (with_policy(OnError.ABORT_ABOVE, max_errors=90, max_error_percent=7), 80, "TOO_MANY_ERRORS"),
        (with_policy(OnError.ABORT_ABOVE, max_errors=60, max_error_percent=7), 65, "TOO_MANY_ERRORS"),
    ],
)
def test_a_file_of_a_thousand_items_is_judged_by_its_policy(options: Options, rejected: int, code: str | None) -> None:
    assert code_of(options, read=1_000, rejected=rejected) == code


@pytest.mark.parametrize("percent", [33.3, 0.1, 0.7, 1.1, 14.7, 99.9])
def test_exactly_the_percentage_is_allowed_whatever_its_binary_fraction(percent: float) -> None:
    options = with_policy(OnError.ABORT_ABOVE, max_error_percent=percent)
    allowed = round(percent * 10)
    assert code_of(options, read=1_000, rejected=allowed) is None
    assert code_of(options, read=1_000, rejected=allowed + 1) == "TOO_MANY_ERRORS"


def test_a_file_without_items_is_within_every_percentage() -> None:
    assert code_of(with_policy(OnError.ABORT_ABOVE, max_error_percent=0), read=0) is None


@pytest.mark.parametrize(("read", "code"), [(9, "COUNT_MISMATCH"), (10, None), (11, "COUNT_MISMATCH")])
def test_the_count_must_be_the_one_that_was_said(read: int, code: str | None) -> None:
    assert code_of(Options(policy=Policy(expected_records=10)), read=read) == code


def test_a_file_said_to_have_no_items_must_have_none() -> None:
    options = Options(policy=Policy(expected_records=0))
    assert (code_of(options, read=0), code_of(options, read=1)) == (None, "COUNT_MISMATCH")


@pytest.mark.parametrize(
    ("found", "code"),
    [(DIGEST, None), (hashlib.sha256(b"other").digest(), "CHECKSUM_MISMATCH"), (None, "CHECKSUM_MISMATCH")],
)
def test_the_checksum_must_be_the_one_that_was_said(found: bytes | None, code: str | None) -> None:
    assert code_of(Options(expected_sha256=DIGEST), read=1, digest=found) == code


def test_another_file_than_was_said_is_called_that_before_anything_else() -> None:
    policy = Policy(on_error=OnError.ABORT, expected_records=1)
    both = Options(policy=policy, expected_sha256=DIGEST)
    assert code_of(both, read=5, rejected=5, digest=b"other") == "CHECKSUM_MISMATCH"
    assert code_of(both, read=5, rejected=5) == "COUNT_MISMATCH"


def batch(*outcomes: str) -> Batch[Any]:
    """Items 11, 12, …: `g` is good, `b` is bad."""
    numbered = list(enumerate(outcomes, start=11))
    return Batch(
        items=[StagedItem(number, []) for number, outcome in numbered if outcome == "g"],
        rejected=[
            Rejected(number, f"line {number}", "", "C", "m", "") for number, outcome in numbered if outcome == "b"
        ],
        read=10 + len(outcomes),
        bytes=99,
    )


def test_a_batch_is_cut_behind_the_item_that_is_one_too_many() -> None:
    policy = Policy(on_error=OnError.ABORT_ABOVE, max_errors=3)
    cut = gates.cut(batch(*"gbgbgbgg"), policy, rejected=2)
    assert [item.ordinal for item in cut.items] == [11, 13]
    assert [each.ordinal for each in cut.rejected] == [12, 14]
    assert cut.read == 14


@pytest.mark.parametrize(
    "policy", [Policy(), Policy(on_error=OnError.ALL_OR_NOTHING), Policy(on_error=OnError.ABORT_ABOVE)]
)
def test_a_batch_is_whole_where_the_file_is_read_to_its_end(policy: Policy) -> None:
    whole = batch(*"gbgb")
    assert gates.cut(whole, policy, rejected=1_000) is whole
    gates.check_on_the_way(policy, Tally(read=10, rejected=10))


def test_the_failure_says_where() -> None:
    with pytest.raises(ImportFailure) as raised:
        gates.check_on_the_way(Policy(on_error=OnError.ABORT), Tally(read=1, rejected=1), "line 7")
    assert (raised.value.code, raised.value.position) == ("TOO_MANY_ERRORS", "line 7")
