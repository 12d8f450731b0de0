"""Remembers a bounded amount of what was read, so that a part of a file that repeats is read once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(Generic[K, V]):
    """A map that forgets what it learned longest ago when its weight passes a limit.

    Not what was used longest ago: looking up is done for every part of a file, so it must be no more than a dict's
    `get`.
    """

    def __init__(self, weight_limit: int) -> None:
        self._limit = weight_limit
        self._weight = 0
        self._values: dict[K, V] = {}
        # Ordered, because a dict takes longer to find its first key the more have been taken away before it.
        self._weights: OrderedDict[K, int] = OrderedDict()
        self.get = self._values.get

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep `value`; one that is heavier than the limit is not kept."""
        if weight > self._limit:
            return
        self._weight += weight - self._weights.get(key, 0)
        self._values[key] = value
        self._weights[key] = weight
        while self._weight > self._limit:
            oldest, dropped = self._weights.popitem(last=False)
            self._weight -= dropped
            del self._values[oldest]

    def __len__(self) -> int:
        return len(self._values)
