"""A large file sent by the command in parts, killed in the middle, and sent on by the same command."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import repeat
from pathlib import Path
from random import Random
from time import perf_counter, sleep

import psutil

from bench.live import Live
from bench.options import Options, say, write_file
from bench.rows import Row
from bench.sampling import memory, sampled
from deploy.local.environment import printed_environment

DEFAULT_MEGABYTES, FULL_MEGABYTES = 1_000, 6_000
BLOCK = 1 << 20
BAR_GROWTH = 64e6
BAR_COMMAND = 200e6
# In the middle, and with parts on their way.
KILL_AT = 0.5


def measure(live: Live, options: Options) -> list[Row]:
    megabytes = options.megabytes(DEFAULT_MEGABYTES, FULL_MEGABYTES)
    path = options.folder / "parts.bin"
    size = write_file(path, repeat(Random(1).randbytes(BLOCK), max(128, round(megabytes * 1e6 / BLOCK))))
    processes = {name: memory(live, name) for name in ("gateway", "upload")}
    before = {name: each.peak for name, each in processes.items()}
    home = options.folder / "home"
    command = Command(live, path, home)
    with sampled(*(each.sample for each in processes.values()), every=0.1):
        first = command.run(kill_at=KILL_AT)
        there = command.arrived
        second = command.run()
    path.unlink()
    say(f"killed after {first:.1f} s with {there / 1e6:,.0f} MB there, the rest took {second:.1f} s")
    rows = [
        Row(
            f"{size / 1e6:,.0f} MB in parts, killed in the middle and sent on",
            f"{size / (first + second) / 1e6:.0f} MB/s",
            f"{there / 1e6:,.0f} MB were there after the kill",
            f"{there / size:.2f}",
        ),
        Row(
            "RSS of the command at its peak",
            f"{command.peak / 1e6:.0f} MB",
            bar=f"<= {BAR_COMMAND / 1e6:.0f} MB",
            holds=command.peak <= BAR_COMMAND,
        ),
    ]
    for name, each in processes.items():
        grown = each.peak - before[name]
        rows.append(
            Row(
                f"RSS of {name} before and at its peak",
                f"{before[name] / 1e6:.0f} MB, {each.peak / 1e6:.0f} MB",
                bar=f"grows <= {BAR_GROWTH / 1e6:.0f} MB",
                holds=grown <= BAR_GROWTH,
            )
        )
    return rows


class Command:
    """`hythe upload`, as often as it takes."""

    def __init__(self, live: Live, path: Path, home: Path) -> None:
        self._live = live
        self._path = path
        self._home = home
        printed = printed_environment(live.stack.instance, live.stack.secrets)
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "HYTHE_URL": printed["HYTHE_URL"],
            "HYTHE_API_KEY": printed["HYTHE_API_KEY"],
        }
        self.peak = 0
        self.arrived = 0

    def run(self, kill_at: float = 1.0) -> float:
        """Seconds until its end, or until it was killed because so much of the file had arrived."""
        began = perf_counter()
        line = [sys.executable, "-m", "cli.main", "upload", str(self._path), "--json"]
        running = subprocess.Popen(line, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while running.poll() is None:
            self._note_peak(running.pid)
            if kill_at < 1 and self._bytes_there() >= kill_at * self._path.stat().st_size:
                running.kill()
                break
            sleep(0.05)
        _, told = running.communicate()
        seconds = perf_counter() - began
        self.arrived = self._bytes_there()
        if kill_at == 1.0 and running.returncode:
            raise SystemExit(f"the upload was refused: {told.decode()[-300:]}")
        return seconds

    def _note_peak(self, pid: int) -> None:
        try:
            self.peak = max(self.peak, psutil.Process(pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return

    def _bytes_there(self) -> int:
        """As the server says, of the upload that the command has begun."""
        kept = list(self._home.rglob("uploads/*.json"))
        if not kept:
            return 0
        key = json.loads(kept[0].read_bytes())["key"]
        first: int | None = 1
        found = 0
        while first:
            page = self._live.http.get(f"/api/v2/uploads/{key}", params={"first": first, "limit": 1_000}).json()
            found += sum(int(part["size"]) for part in page["parts"] if part["uploaded"])
            first = page["next"]
        return found
