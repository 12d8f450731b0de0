"""From nothing to a stack that answers, as `make up` brings it up the first time, wheels installed."""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

from bench.live import live
from bench.options import Options, say
from bench.rows import Row

STARTS = 3
BAR_SECONDS = 20
# One service's imports: the least that a service can take, and there are five.
IMPORTS = "import services.importer.main"


def measure(options: Options) -> list[Row]:
    starts = []
    for _ in range(1 if options.quick else STARTS):
        with live() as stack:
            starts.append(stack.started_seconds)
        say(f"stack up in {starts[-1]:.1f} s")
    began = perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    floor = perf_counter() - began
    slowest = max(starts)
    return [
        Row(
            f"Stack from nothing to ready, slowest of {len(starts)}",
            f"{slowest:.1f} s",
            f"imports of one service {floor:.1f} s",
            f"{slowest / floor:.0f}x",
            f"<= {BAR_SECONDS} s",
            slowest <= BAR_SECONDS,
        )
    ]
