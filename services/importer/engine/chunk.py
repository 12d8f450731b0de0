"""Items on their way to the next COPY."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from services.importer.engine.frames import Batch, Rejected
from services.importer.engine.limits import Limits
from services.importer.engine.target import Stager, Tally


class Chunk:
    """What has been received and is not staged yet, and the tally it is counted into."""

    def __init__(self, stager: Stager, tally: Tally, limits: Limits) -> None:
        self._stager = stager
        self._limits = limits
        self._items = 0
        self._rejected: list[Rejected] = []
        self._raw_characters = 0
        self._began_at = time.monotonic()
        self.tally = tally

    def add(self, batch: Batch[Any]) -> None:
        """Takes a batch of the child."""
        for item in batch.items:
            staged = self._stager.add(item.ordinal, item.records)
            self.tally.staged += staged
            self._items += staged or 1
        for rejected in batch.rejected:
            self._stager.reject(rejected)
        self._rejected.extend(batch.rejected)
        self._raw_characters += sum(len(each.raw) for each in batch.rejected)
        self.tally.rejected += len(batch.rejected)
        # A resumed child counts from the beginning again; what is staged already has been counted.
        self.tally.read = max(self.tally.read, batch.read)
        self.tally.bytes = max(self.tally.bytes, batch.bytes)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the file has said of itself so far, as columns of `imports`."""
        return self._stager.facts

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to stage."""
        return not self._items and not self._rejected

    @property
    def has_rejected(self) -> bool:
        """True when a rejected item waits."""
        return bool(self._rejected)

    @property
    def is_due(self) -> bool:
        """Whether a chunk is full or old enough. One without rows waits: a checkpoint for nothing helps nobody."""
        if self.is_empty:
            return False
        return (
            self._items + len(self._rejected) >= self._limits.chunk_records
            or self._stager.weight + self._raw_characters >= self._limits.chunk_bytes
            or time.monotonic() - self._began_at >= self._limits.chunk_seconds
        )

    def take(self) -> tuple[Any, list[Rejected]]:
        """The rows and rejected items; the chunk is empty afterwards."""
        rejected, self._rejected = self._rejected, []
        self._items = self._raw_characters = 0
        self._began_at = time.monotonic()
        return self._stager.take(), rejected
