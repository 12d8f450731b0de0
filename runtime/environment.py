"""The one other place that touches the process's environment: to keep it from a child."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

PREFIX = "HYTHE_"


@contextmanager
def hidden_environment() -> Iterator[None]:
    """Takes every setting of this process out of its environment for as long as the block runs.

    A child that is started inside inherits none of them, and so no credential. Not for a process with several threads.
    """
    hidden = {name: os.environ.pop(name) for name in tuple(os.environ) if name.startswith(PREFIX)}
    try:
        yield
    finally:
        os.environ.update(hidden)
