from __future__ import annotations

import math

import pytest

from runtime.errors import InvalidArgument
from services.importer.options import Changes, checked, request_digest, sha256_of
from services.importer.policy import OnError, Options, Policy

ABOVE = OnError.ABORT_ABOVE
FIRST = Options(
    dry_run=True,
    force=True,
    policy=Policy(ABOVE, max_errors=5, max_error_percent=2.5, expected_records=100),
    expected_sha256=b"x" * 32,
)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(OnError.ABORT),
        Policy(OnError.ALL_OR_NOTHING, expected_records=0),
        Policy(ABOVE, max_errors=0),
        Policy(ABOVE, max_error_percent=0),
        Policy(ABOVE, max_error_percent=100),
        Policy(ABOVE, max_errors=2**63 - 1, max_error_percent=0.01),
    ],
)
def test_a_policy_that_makes_sense_is_taken_as_it_is(policy: Policy) -> None:
    assert checked(Options(policy=policy)) == Options(policy=policy)


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (Policy(max_errors=1), "on_error"),
        (Policy(OnError.ABORT, max_error_percent=1), "on_error"),
        (Policy(OnError.ALL_OR_NOTHING, max_errors=0), "on_error"),
        (Policy(ABOVE), "on_error"),
        (Policy(ABOVE, max_errors=-1), "max_errors"),
        (Policy(ABOVE, max_errors=2**63), "max_errors"),
        (Policy(ABOVE, max_error_percent=-0.1), "max_error_percent"),
        (Policy(ABOVE, max_error_percent=100.1), "max_error_percent"),
        (Policy(ABOVE, max_error_percent=math.nan), "max_error_percent"),
        (Policy(ABOVE, max_error_percent=math.inf), "max_error_percent"),
    ],
)
def test_a_policy_that_no_import_can_be_held_to_is_refused(policy: Policy, field: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        checked(Options(policy=policy))
    assert (refusal.value.reason, refusal.value.metadata) == ("INVALID_POLICY", {"field": field})


@pytest.mark.parametrize("records", [-1, 2**63])
def test_a_file_has_no_such_number_of_records(records: int) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        checked(Options(policy=Policy(expected_records=records)))
    assert refusal.value.reason == "INVALID_EXPECTED_RECORDS"


@pytest.mark.parametrize(
    ("text", "digest"), [("", None), ("  ", None), ("0A" * 32, b"\n" * 32), (" " + "0a" * 32 + "\n", b"\n" * 32)]
)
def test_a_checksum_is_hexadecimal_in_either_case(text: str, digest: bytes | None) -> None:
    assert sha256_of(text) == digest


@pytest.mark.parametrize("text", ["0a", "0a" * 33, "0g" * 32, "0a " * 32, "\u0660\u0661" * 32])
def test_what_is_no_checksum_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        sha256_of(text)
    assert refusal.value.reason == "INVALID_SHA256"


def test_what_is_not_said_stays_as_it_was() -> None:
    assert Changes().over(FIRST) == FIRST


def test_what_is_said_holds() -> None:
    said = Changes(
        dry_run=False,
        force=False,
        on_error=OnError.ABORT,
        expected_records=7,
        expected_sha256=b"y" * 32,
    )
    policy = Policy(OnError.ABORT, expected_records=7)
    assert said.over(FIRST) == Options(dry_run=False, force=False, policy=policy, expected_sha256=b"y" * 32)


def test_a_new_limit_replaces_both_limits_and_keeps_the_word() -> None:
    assert Changes(max_errors=9).over(FIRST).policy == Policy(ABOVE, max_errors=9, expected_records=100)


def test_every_option_tells_requests_apart() -> None:
    others = [
        Options(),
        Options(dry_run=True),
        Options(force=True),
        Options(expected_sha256=b"x" * 32),
        Options(policy=Policy(OnError.ABORT)),
        Options(policy=Policy(expected_records=1)),
        Options(policy=Policy(ABOVE, max_errors=1)),
        Options(policy=Policy(ABOVE, max_error_percent=1)),
    ]
    assert len({request_digest("x", options=options) for options in others}) == len(others)
    assert request_digest("x", options=FIRST) == request_digest("x", options=FIRST)
