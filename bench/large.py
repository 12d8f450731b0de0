"""One large Nessus file, from trigger to complete, beside a bare expat pass and a bare COPY of as many rows."""

from __future__ import annotations

from time import perf_counter

from bench.floors import copy_seconds, expat_seconds
from bench.live import Live
from bench.options import Options, say, write_scan
from bench.rows import Row
from bench.sampling import CpuTime, memory, sampled

DEFAULT_MEGABYTES = 1_000
BAR_SECONDS_PER_GIGABYTE = 45
BAR_MEMORY = 300e6


def measure(live: Live, options: Options) -> list[Row]:
    path = write_scan(options, "nessus", options.megabytes(DEFAULT_MEGABYTES))
    size = path.stat().st_size
    report = live.report()
    key = live.upload(path)
    worker, postgres = CpuTime(live.process("worker")), CpuTime(live.process("postgres"))
    peak = memory(live, "worker")
    with sampled(peak.sample, worker.sample, postgres.sample):
        began = perf_counter()
        detail = live.wait(live.trigger(key, report, "nessus"), poll_seconds=0.1)
        seconds = perf_counter() - began
    say(f"import: {seconds:.1f} s, {detail['counters']}")
    rows = int(detail["counters"]["read"])
    tables = ("evidence", "affected_assets")
    bare_copy = sum(copy_seconds(live, table, rows) for table in tables)
    bare_pass = expat_seconds(path)
    path.unlink()
    bar = BAR_SECONDS_PER_GIGABYTE * size / 1e9
    children = worker.seconds - worker.root_seconds
    return [
        Row(
            f"{size / 1e6:,.0f} MB Nessus, {rows:,} items: trigger to complete",
            f"{seconds:.1f} s ({size / 1e6 / seconds:.1f} MB/s)",
            f"expat {bare_pass:.1f} s + COPY {bare_copy:.1f} s",
            f"{seconds / (bare_pass + bare_copy):.1f}x",
            f"<= {bar:.1f} s ({BAR_SECONDS_PER_GIGABYTE} s per GB)",
            seconds <= bar,
        ),
        Row(
            "worker and children, peak RSS",
            f"{peak.peak / 1e6:.0f} MB",
            bar=f"<= {BAR_MEMORY / 1e6:.0f} MB",
            holds=peak.peak <= BAR_MEMORY,
        ),
        Row(
            "CPU: worker, parser child, PostgreSQL",
            f"{worker.root_seconds:.1f} s, {children:.1f} s, {postgres.seconds:.1f} s",
        ),
    ]
