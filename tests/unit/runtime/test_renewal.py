from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import jwt
import pytest

from hythe.identity.v1 import identity_pb2
from runtime.context import credential_variable, current_credential
from runtime.errors import Unauthenticated
from runtime.renewal import MARGIN_SECONDS, PAUSE_SECONDS, Renewal
from tests.fakes.channel import FakeChannel, bare_failure, refusal

REFRESH = "/hythe.identity.v1.IdentityService/RefreshToken"
NOW = 1_000_000.0
LIFE = 900.0
KEY = "k" * 32


def token(begin: float, life: float = LIFE) -> str:
    return jwt.encode({"iat": int(begin), "exp": int(begin + life)}, KEY, algorithm="HS256")


class Clock:
    """`body` takes some seconds between its pieces."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now

    async def body(self, count: int, seconds: float) -> AsyncIterator[int]:
        for number in range(count):
            yield number
            self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _credential() -> Iterator[None]:
    before = credential_variable.set("")
    yield
    credential_variable.reset(before)


async def told(renewal: Renewal, items: AsyncIterator[int]) -> list[str]:
    """The credential after each piece, as whoever reads them sees it."""
    return [current_credential() async for _ in renewal.through(items)]


def identity(clock: Clock, *answers: Any, life: float = LIFE) -> FakeChannel:
    """Gives a new token, after what stands in `answers`."""
    waiting = list(answers)

    def refresh(_: Any) -> identity_pb2.RefreshTokenResponse:
        if waiting and (error := waiting.pop(0)) is not None:
            raise error
        return identity_pb2.RefreshTokenResponse(token=identity_pb2.Token(token=token(clock.now, life)))

    return FakeChannel({REFRESH: refresh})


@pytest.mark.parametrize("scheme", ["Bearer ", ""])
async def test_a_token_is_renewed_before_it_ends_as_often_as_it_takes(clock: Clock, scheme: str) -> None:
    first = scheme + token(NOW)
    credential_variable.set(first)
    channel = identity(clock)
    seen = await told(Renewal(channel, clock=clock), clock.body(60, 60))  # type: ignore[arg-type]
    # 15 minutes, renewed with 5 left: 10 of each.
    assert [seen.count(each) for each in dict.fromkeys(seen)] == [10] * 6
    assert channel.calls[0].metadata["authorization"] == first
    assert channel.calls[1].metadata["authorization"] == seen[10], "each by the one before it"
    assert seen[10].startswith("Bearer ")


async def test_a_token_that_lives_shortly_is_renewed_at_half_of_its_life(clock: Clock) -> None:
    credential_variable.set(f"Bearer {token(NOW, 20)}")
    channel = identity(clock, life=20)
    await told(Renewal(channel, clock=clock), clock.body(30, 1))  # type: ignore[arg-type]
    assert len(channel.calls) == 2


async def test_a_token_about_to_end_is_renewed_at_the_first_piece(clock: Clock) -> None:
    credential_variable.set(f"Bearer {token(NOW - LIFE + MARGIN_SECONDS)}")
    channel = identity(clock)
    await told(Renewal(channel, clock=clock), clock.body(1, 1))  # type: ignore[arg-type]
    assert len(channel.calls) == 1


@pytest.mark.parametrize("credential", ["hy_key", "Bearer hy_key", "Basic dXNlcjprZXk=", "Bearer a.b.c", ""])
async def test_what_does_not_end_stays_as_it_is(clock: Clock, credential: str) -> None:
    credential_variable.set(credential)
    channel = identity(clock)
    assert set(await told(Renewal(channel, clock=clock), clock.body(60, 60))) == {credential}  # type: ignore[arg-type]
    assert channel.calls == []


@pytest.mark.parametrize(
    "failure", [bare_failure(grpc.StatusCode.UNAVAILABLE), bare_failure(grpc.StatusCode.UNKNOWN, "Traceback")]
)
async def test_an_identity_service_that_is_away_is_asked_again(clock: Clock, failure: Exception) -> None:
    credential_variable.set(f"Bearer {token(NOW - LIFE + MARGIN_SECONDS)}")
    channel = identity(clock, failure, failure)
    seen = await told(Renewal(channel, clock=clock), clock.body(8, PAUSE_SECONDS / 2))  # type: ignore[arg-type]
    assert len(channel.calls) == 3
    assert len(set(seen)) == 2


async def test_whoever_has_been_disabled_is_refused(clock: Clock) -> None:
    credential_variable.set(f"Bearer {token(NOW - LIFE + MARGIN_SECONDS)}")
    channel = identity(clock, refusal(grpc.StatusCode.UNAUTHENTICATED, "INVALID_CREDENTIAL", "It is not good."))
    with pytest.raises(Unauthenticated):
        await told(Renewal(channel, clock=clock), clock.body(2, 1))  # type: ignore[arg-type]
