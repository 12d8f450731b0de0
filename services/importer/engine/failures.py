"""How an attempt at an import can end without success."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ImportFailure(Exception):
    """The import is FAILED for good: its file cannot be imported, and trying again would change nothing.

    `code` is stable (docs/errors.md), `message` is for people, `position` says where in the file if known. `row_errors`
    are those of rejected items that a merge has found; with it they are rolled back (engine/row_errors.py).
    """

    row_errors: Sequence[dict[str, Any]] = ()

    def __init__(self, code: str, message: str, position: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.position = position


class RetryableFailure(Exception):
    """Something that the import needs did not answer. It goes on from its checkpoint after a pause."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Interruption(Exception):
    """The attempt stops, and nothing is wrong with it."""

    is_fault = False


class Cancelled(Interruption):
    """Somebody asked the import to stop, before its flip."""


class FencedOut(Interruption):
    """Another attempt has taken over. This one stops at once: it writes nothing, and neither acks nor naks."""


class Drained(Interruption):
    """The worker is going away; the import is handed over at its checkpoint."""


class Paused(Interruption):
    """Somebody asked the import to stop for now; it goes on from its checkpoint when it is resumed."""
