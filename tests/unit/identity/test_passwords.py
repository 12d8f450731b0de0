from __future__ import annotations

import asyncio
import threading
from typing import Literal

import pytest
from argon2 import PasswordHasher

from runtime.errors import ResourceExhausted
from services.identity.passwords import LONGEST_PASSWORD, Passwords, make_password

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Counting(PasswordHasher):
    """Counts the passwords that it looks at, and waits for `gate` at each."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0
        self.gate = threading.Event()
        self.gate.set()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the library's name
        self.verified += 1
        self.gate.wait(30)
        return super().verify(hash, password)


async def test_the_right_password_is_right_and_others_are_not() -> None:
    passwords = Passwords(hasher=CHEAP)
    stored = await passwords.hash("correct horse")
    assert await passwords.is_right(stored, "correct horse")
    assert not await passwords.is_right(stored, "Correct horse")
    assert not await passwords.is_right(stored, "")
    assert not await passwords.is_right(stored, "correct horse\0")


async def test_the_hash_is_argon2id_with_a_salt_of_its_own() -> None:
    passwords = Passwords(hasher=CHEAP)
    first, second = await passwords.hash("same"), await passwords.hash("same")
    assert first.startswith("$argon2id$")
    assert first != second


async def test_nobody_costs_as_much_as_somebody_and_is_never_right() -> None:
    hasher = Counting()
    passwords = Passwords(hasher=hasher)
    assert not await passwords.is_right(None, "guess")
    assert not await passwords.is_right(await passwords.hash("right"), "x" * (LONGEST_PASSWORD + 1))
    assert not await passwords.is_right("not a hash", "guess")
    assert hasher.verified == 3


def test_the_default_is_what_rfc_9106_asks_for() -> None:
    hasher = Passwords()._hasher
    assert (hasher.time_cost, hasher.memory_cost) == (3, 64 * 1024)


async def test_a_hash_of_older_parameters_is_outdated() -> None:
    stored = await Passwords(hasher=CHEAP).hash("x")
    assert not Passwords(hasher=CHEAP).is_outdated(stored)
    assert Passwords(hasher=PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)).is_outdated(stored)


async def test_more_logins_than_may_wait_are_refused_and_the_others_are_served() -> None:
    hasher = Counting()
    passwords = Passwords(threads=1, max_waiting=2, hasher=hasher)
    stored = await passwords.hash("right")
    hasher.gate.clear()
    waiting = [asyncio.create_task(passwords.is_right(stored, "right")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ResourceExhausted):
        await passwords.is_right(stored, "right")
    hasher.gate.set()
    assert await asyncio.gather(*waiting) == [True, True, True]
    assert await passwords.is_right(stored, "right")


def test_made_passwords_are_long_and_never_the_same() -> None:
    made = {make_password() for _ in range(100)}
    assert len(made) == 100
    assert min(map(len, made)) >= 24
