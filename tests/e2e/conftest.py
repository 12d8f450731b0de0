"""What every end-to-end test begins with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.rest import Rest, rest
from tests.stack import LiveStack


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[Rest]:
    """A caller with a client and a report of its own."""
    made = rest(stack)
    yield made
    made.http.close()
