"""Remembers a bounded amount of what was read, so that a part of a file that repeats is read once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(Generic[K, V]):
    """A map that forgets what was used longest ago when its weight passes a limit."""

    def __init__(self, weight_limit: int) -> None:
        self._limit = weight_limit
        self._weight = 0
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep `value`; one that is heavier than the limit is not kept."""
        if weight > self._limit:
            return
        replaced = self._kept.pop(key, None)
        self._kept[key] = value, weight
        self._weight += weight - (replaced[1] if replaced else 0)
        while self._weight > self._limit:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._weight -= dropped

    def __len__(self) -> int:
        return len(self._kept)
