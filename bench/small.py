"""A 120 KB Burp file on an idle system, from trigger to complete, beside its bare expat pass and COPY."""

from __future__ import annotations

import statistics
from time import perf_counter

from bench.documents import burp
from bench.floors import copy_seconds, expat_seconds
from bench.live import Live
from bench.options import Options, say, write_file
from bench.rows import Row, milliseconds, percentile

IMPORTS = 50
ISSUES = 17
BODY_BYTES = 2_048
POLL_SECONDS = 0.005
BAR_MEDIAN, BAR_WORST = 0.3, 1.0


def measure(live: Live, options: Options) -> list[Row]:
    path = options.folder / "small.burp"
    size = write_file(path, burp(ISSUES, body_bytes=BODY_BYTES))
    seconds = []
    items = 0
    # The first imports of a stack fill caches and pools; an idle system has done that long ago.
    for number in range(-3, options.sized(IMPORTS)):
        report, key = live.report(), live.upload(path)
        began = perf_counter()
        detail = live.wait(live.trigger(key, report, "burp"), poll_seconds=POLL_SECONDS)
        if number >= 0:
            seconds.append(perf_counter() - began)
        items = int(detail["counters"]["read"])
    median, worst = statistics.median(seconds), percentile(seconds, 0.99)
    say(f"{len(seconds)} imports: {median * 1e3:.0f} ms in the middle, {worst * 1e3:.0f} ms at worst")
    floor = expat_seconds(path) + copy_seconds(live, "evidence", items)
    what = f"{size / 1e3:.0f} KB Burp, {items} issues, trigger to complete"
    return [
        Row(
            f"{what}, p50 of {len(seconds)}",
            milliseconds(median),
            f"expat + COPY {milliseconds(floor)}",
            f"{median / floor:.0f}x",
            f"<= {milliseconds(BAR_MEDIAN)}",
            median <= BAR_MEDIAN,
        ),
        Row(f"{what}, p99", milliseconds(worst), bar=f"<= {milliseconds(BAR_WORST)}", holds=worst <= BAR_WORST),
    ]
