"""Parsing alone, one core: `walk` and `read` in a fresh process, beside a bare pass of the same file.

Bare is expat without a handler, and for a sync file a split of each line of its text at the pipes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.options import Options, write_scan
from bench.rows import Row

MEGABYTES = 100
RATE_BAR, RATIO_BAR, MEMORY_BAR = 50.0, 0.35, 60.0
ROUNDS = 3


def measure(options: Options) -> list[Row]:
    """CPU seconds, so that a busy machine counts for less; the better of several rounds for both sides."""
    rows = []
    for name in ("nessus", "burp", "nmap", "qualys_vm_report", "cc5"):
        path = write_scan(options, name, options.megabytes(MEGABYTES))
        megabytes = path.stat().st_size / 1e6
        floor_of = "split" if name == "cc5" else "expat"
        bare = min(apart(floor_of, path)["seconds"] for _ in range(ROUNDS))
        parsed = min((apart(name, path) for _ in range(ROUNDS)), key=lambda one: one["seconds"])
        path.unlink()
        rate, floor, ratio = megabytes / parsed["seconds"], megabytes / bare, bare / parsed["seconds"]
        rows += [
            Row(
                f"parse {name}, {megabytes:.0f} MB",
                f"{rate:.0f} MB/s",
                f"{floor_of} {floor:.0f} MB/s",
                f"{ratio:.2f}",
                f">= {RATE_BAR:.0f} MB/s, >= {RATIO_BAR}",
                rate >= RATE_BAR and ratio >= RATIO_BAR,
            ),
            Row(
                f"parse {name}, peak RSS",
                f"{parsed['peak_mb']:.0f} MB",
                bar=f"<= {MEMORY_BAR:.0f} MB",
                holds=parsed["peak_mb"] <= MEMORY_BAR,
            ),
        ]
    return rows


def apart(what: str, path: Path) -> dict[str, float]:
    """CPU seconds, peak resident megabytes and records of one pass; `what` is a format or `expat`."""
    command = [sys.executable, "-m", "bench.parse_once", what, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer
