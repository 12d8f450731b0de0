"""Loaded by the fork server of a test's worker: a file with POISON in it kills the parser child that reads it."""

from __future__ import annotations

import os
import signal

from services.importer.engine.child import Pipe
from tests.chaos.contents import POISON

receive = Pipe.receive


def deadly(self: Pipe, size: int) -> bytes:
    data = receive(self, size)
    if POISON in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    return data


Pipe.receive = deadly  # type: ignore[method-assign]
