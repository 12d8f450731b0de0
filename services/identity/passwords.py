"""Passwords: made, hashed and checked. Hashing is dear on purpose, so it runs in a few threads and a short queue."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from runtime.errors import ResourceExhausted

T = TypeVar("T")

GENERATED_BYTES = 18
LONGEST_PASSWORD = 1_024
LEAST_GIVEN_LENGTH = 12
"""Of a password that a person chose: the first administrator's. All others are made here."""


def make_password() -> str:
    """24 characters, 144 bits."""
    return secrets.token_urlsafe(GENERATED_BYTES)


class Passwords:
    """argon2id. Time and memory are the same whether there is such a user or not."""

    def __init__(self, *, threads: int = 2, max_waiting: int = 64, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
        self._nobody = self._hasher.hash(secrets.token_urlsafe(GENERATED_BYTES))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._places = threads + max_waiting

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hasher.hash(password))

    async def is_right(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one that `stored` was made from. None, for nobody, costs the same and is False."""
        too_long = len(password) > LONGEST_PASSWORD
        guess = "" if too_long else password
        matches = await self._run(lambda: self._verify(stored or self._nobody, guess))
        return matches and stored is not None and not too_long

    def is_outdated(self, stored: str) -> bool:
        """Whether it was hashed with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._places == 0:
            raise ResourceExhausted("LOGIN_BUSY", "Too many logins at once; try again in a moment.")
        self._places -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._places += 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
