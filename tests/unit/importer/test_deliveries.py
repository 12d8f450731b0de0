from __future__ import annotations

import pytest

from runtime.outbound import Answer
from runtime.sealing import new_key
from services.importer.deliveries import delay_after, outcome_of
from services.importer.settings import WebhookSettings
from services.importer.signing import SECRET_PREFIX, new_secret, signature

SETTINGS = WebhookSettings.model_validate({"secrets_key": new_key()})


def waits(retry_after: float | None = None) -> list[float]:
    """All the waits of one delivery, in seconds."""
    return [
        delay_after(attempt, retry_after, SETTINGS).total_seconds() for attempt in range(1, SETTINGS.webhook_attempts)
    ]


def test_waits_grow_from_seconds_to_hours_and_reach_over_a_night() -> None:
    grown = [10, 30, 90, 270, 810, 2_430, 7_200, 7_200, 7_200, 7_200, 7_200]
    for _ in range(20):
        assert all(0.8 * plain <= wait <= 1.2 * plain for plain, wait in zip(grown, waits(), strict=True))
    assert 10 * 3_600 <= sum(grown) <= 12 * 3_600


def test_waits_are_not_the_same_for_everybody() -> None:
    assert len({tuple(waits()) for _ in range(5)}) == 5


def test_a_receiver_may_ask_for_a_longer_wait_and_not_for_a_shorter_one() -> None:
    assert delay_after(1, 600, SETTINGS).total_seconds() == 600
    assert delay_after(1, 0, SETTINGS).total_seconds() >= 8
    assert delay_after(1, 1e9, SETTINGS).total_seconds() == SETTINGS.webhook_last_delay_seconds


def test_any_number_of_attempts_has_a_wait() -> None:
    assert delay_after(100_000, None, SETTINGS).total_seconds() <= 1.2 * SETTINGS.webhook_last_delay_seconds


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_delivery(status: int) -> None:
    assert outcome_of(Answer(status, None)).error == ""


@pytest.mark.parametrize("status", [100, 301, 304, 400, 401, 404, 409, 410, 429, 500, 503])
def test_everything_else_is_not_and_only_410_is_final(status: int) -> None:
    outcome = outcome_of(Answer(status, 5))
    assert str(status) in outcome.error
    assert outcome.is_final == (status == 410)


def test_a_signature_covers_time_and_body() -> None:
    # Computed with `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_test`.
    known = "t=1700000000,v1=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789"
    assert signature("whsec_test", 1_700_000_000, b'{"a":1}') == known
    assert signature("whsec_test", 1_700_000_001, b'{"a":1}') != known
    assert signature("whsec_test", 1_700_000_000, b'{"a":2}') != known
    assert signature("whsec_tess", 1_700_000_000, b'{"a":1}') != known


def test_secrets_are_long_and_differ() -> None:
    one, two = new_secret(), new_secret()
    assert one != two
    assert one.startswith(SECRET_PREFIX)
    assert len(one) >= len(SECRET_PREFIX) + 43
