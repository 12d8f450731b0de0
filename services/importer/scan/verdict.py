"""What a scanner is asked, and what it may answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Subject:
    """What is scanned: a name for the scanner's own log, and how many bytes it is sent."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`threat` is the scanner's word for what it found, "" where it refuses the file without one."""

    is_clean: bool
    threat: str = ""


CLEAN = Verdict(is_clean=True)


class ScannerUnavailable(Exception):
    """There is no verdict. The words are for the log of the operator; they name neither file nor URL."""


class Scanner(Protocol):
    """Something that can tell whether bytes are harmless."""

    async def scan(self, subject: Subject, blocks: AsyncIterator[bytes]) -> Verdict:
        """Sends the blocks, exactly `subject.size` bytes, and waits for the verdict.

        Raises ScannerUnavailable for everything that is none, and lets pass what `blocks` raises. It may leave blocks
        unread when the verdict comes early.
        """
        ...
