"""Reads a generated document in a process of its own and prints how many items it had and the peak of memory in KB."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from bench.documents import DOCUMENTS, Stream, burp
from services.importer.formats.registry import BY_NAME
from tests.formats.golden import items

# Bodies of their usual size would make a gigabyte of fifty thousand issues.
SMALL_BODIES = {"burp": partial(burp, body_bytes=400)}


def main(name: str, count: str) -> None:
    format_ = BY_NAME[name]
    found = 0
    for raw, _ in items(format_, Stream((SMALL_BODIES.get(name) or DOCUMENTS[name])(int(count)))):
        found += 1
        for _record in format_.read(raw):
            pass
    # Not ru_maxrss, which begins with the size of the process that this one was forked from.
    status = Path("/proc/self/status").read_text("ascii")
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    sys.stdout.write(f"{found} {peak}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
