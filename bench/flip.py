"""The flip: how long a merge holds the lock of its client, for many rows at once and for many imports one by one."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from time import perf_counter

import psycopg

from bench.live import Live
from bench.options import Options, say, write_file
from bench.rows import Row
from bench.sampling import lock_times

ROWS, FULL_ROWS = 1_000_000, 10_000_000
ITEMS_EACH, IMPORTS = 2_000, 50
ITEMS_A_HOST, PLUGINS = 40, 800
# An import must not become slower with what is stored already; a fifth is noise of the machine.
BAR_GROWTH = 1.2
# The last imports are compared with the first ones: one of them alone is noise.
COMPARED = 3


def measure(live: Live, options: Options) -> list[Row]:
    # The many small ones come first: afterwards the client holds a million rows.
    return [*_one_after_another(live, options), *_at_once(live, options)]


def _at_once(live: Live, options: Options) -> list[Row]:
    rows = []
    for count in (options.sized(ROWS), *((FULL_ROWS,) if options.full else ())):
        path = options.folder / "flip.nessus"
        write_file(path, narrow_nessus(count, seed=count))
        began = perf_counter()
        with lock_times(live) as locks:
            import_id = live.trigger(live.upload(path), live.report(), "nessus")
            live.wait(import_id, poll_seconds=0.2)
        path.unlink()
        say(f"{count:,} items: {perf_counter() - began:.1f} s in all, {locks.longest:.2f} s of them merging")
        floor = _bare_insert(live, import_id)
        per_million = locks.longest / count * 1e6
        rows.append(
            Row(
                f"Flip of {count:,} affected rows, with the client locked",
                f"{locks.longest:.2f} s ({per_million:.1f} s per million)",
                f"bare INSERT … SELECT {floor:.2f} s",
                f"{locks.longest / floor:.1f}x",
            )
        )
    return rows


def _one_after_another(live: Live, options: Options) -> list[Row]:
    count = max(2 * COMPARED, options.sized(IMPORTS))
    report, path = live.report(), options.folder / "flip-small.nessus"
    seconds, held = [], []
    for number in range(count):
        # Each scan has its own hosts, so that all of it is inserted: the report grows.
        path.write_bytes(b"".join(narrow_nessus(ITEMS_EACH, seed=number, first_host=number * ITEMS_EACH)))
        key = live.upload(path)
        with lock_times(live) as locks:
            began = perf_counter()
            live.wait(live.trigger(key, report, "nessus"))
            seconds.append(perf_counter() - began)
        held.append(locks.longest)
    path.unlink()
    say(f"{count} imports into one report: {seconds[0]:.2f} s first, {seconds[-1]:.2f} s last")
    rows = []
    for what, values in (("trigger to complete", seconds), ("client locked", held)):
        early, late = min(values[:COMPARED]), min(values[-COMPARED:])
        rows.append(
            Row(
                f"Import {count} of {ITEMS_EACH:,} items into one report, {what}",
                f"{late:.2f} s",
                f"the first {early:.2f} s",
                f"{late / early:.2f}x",
                f"<= {BAR_GROWTH}x of the first",
                late <= early * BAR_GROWTH,
            )
        )
    return rows


def _bare_insert(live: Live, import_id: str) -> float:
    """The rows of an import once more, into empty tables with the same indexes."""
    seconds = 0.0
    with psycopg.connect(live.database_url) as connection:
        for table in ("affected_assets", "evidence"):
            connection.execute(f"CREATE TABLE bench_bare (LIKE {table} INCLUDING DEFAULTS INCLUDING INDEXES)".encode())
            connection.commit()
            began = perf_counter()
            query = f"INSERT INTO bench_bare SELECT * FROM {table} WHERE import_id = %s"  # noqa: S608  (our own names)
            connection.execute(query.encode(), (import_id,))
            connection.commit()
            seconds += perf_counter() - began
            connection.execute(b"DROP TABLE bench_bare")
            connection.commit()
    return seconds


def narrow_nessus(items: int, *, seed: int, first_host: int = 0) -> Iterator[bytes]:
    """A Nessus report of short items: a million rows for the merge without a file of gigabytes."""
    rng = Random(seed)
    yield b'<?xml version="1.0" ?>\n<NessusClientData_v2>\n<Report name="Flip">\n'
    for host, begin in enumerate(range(0, items, ITEMS_A_HOST), start=first_host):
        address = f"10.{host >> 16 & 255}.{host >> 8 & 255}.{host & 255}"
        lines = [f'<ReportHost name="{address}"><HostProperties><tag name="host-ip">{address}</tag></HostProperties>\n']
        for number in range(begin, min(begin + ITEMS_A_HOST, items)):
            plugin = 10_000 + rng.randrange(PLUGINS)
            lines.append(
                f'<ReportItem port="{number % 60_000 + 1}" svc_name="www" protocol="tcp" severity="{plugin % 5}" '
                f'pluginID="{plugin}" pluginName="Plugin {plugin}" pluginFamily="General">'
                f"<description>Plugin {plugin} found it.</description><plugin_output>{number} at {address}, "
                f"{rng.getrandbits(256):x}</plugin_output></ReportItem>\n"
            )
        lines.append("</ReportHost>\n")
        yield "".join(lines).encode()
    yield b"</Report>\n</NessusClientData_v2>\n"
