"""Secrets that must be read again are kept in the database under a key that is not in it."""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class Unsealable(Exception):
    """It was sealed with a key that is not among those given, or is damaged."""


class Sealer:
    """Seals with the first of the keys and unseals with any, so that a key can be replaced without a gap."""

    def __init__(self, keys: str) -> None:
        """Keys as `Fernet.generate_key` makes them, separated by commas. Raises ValueError for anything else."""
        made = [Fernet(key.strip()) for key in keys.split(",")]
        self._first = made[0]
        self._keys = MultiFernet(made)

    def seal(self, text: str) -> bytes:
        return self._keys.encrypt(text.encode())

    def unseal(self, sealed: bytes) -> str:
        """Raises Unsealable."""
        try:
            return self._keys.decrypt(sealed).decode()
        except InvalidToken:
            raise Unsealable from None

    def reseal(self, sealed: bytes) -> bytes | None:
        """The same under the first key, or None where that is what has sealed it. Raises Unsealable."""
        try:
            self._first.decrypt(sealed)
        except InvalidToken:
            return self.seal(self.unseal(sealed))
        return None


def new_key() -> str:
    return Fernet.generate_key().decode()
