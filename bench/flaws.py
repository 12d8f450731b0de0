"""The findings of a large report, read as the stream that they are, beside a bare COPY of the same rows."""

from __future__ import annotations

from time import perf_counter

import psycopg

from bench.live import Live
from bench.options import Options, say
from bench.rows import Row, milliseconds
from bench.sampling import memory, sampled

FINDINGS = 50_000
READS = 5
BAR_FIRST_BYTE = 0.2
# More than noise of the allocator, and less than a tenth of the answer.
BAR_GROWTH = 10e6

SEED = """
INSERT INTO findings (tenant_id, client_id, report_id, flaw_id, family, key, title, severity, source, description,
    recommendations, "references", cves, cwes, scores, fields, tags)
SELECT r.tenant_id, r.client_id, r.report_id, n, 'nessus', n::text, 'Finding ' || n, n %% 5, 'nessus',
    repeat('a description of some length, ', 30), repeat('update it, ', 10), 'https://example.net/' || n,
    ARRAY['CVE-2024-' || n], ARRAY[79], '[]', '{}', ARRAY['bench']
FROM reports r, generate_series(1, %(count)s) n WHERE r.report_id = %(report)s
"""
BARE = """
COPY (
    SELECT flaw_id, title, severity, status, visibility, source, tags, cves, cwes, scores
    FROM findings WHERE report_id = {} ORDER BY flaw_id
) TO STDOUT
"""


def measure(live: Live, options: Options) -> list[Row]:
    count = options.sized(FINDINGS)
    report = live.report()
    with psycopg.connect(live.database_url, autocommit=True) as connection:
        connection.execute(SEED.encode(), {"count": count, "report": report})
        connection.execute(b"VACUUM ANALYZE findings")
    say(f"{count:,} findings seeded")
    path = f"/api/v1/client/{live.client_id}/report/{report}/flaws"
    small = f"/api/v1/client/{live.client_id}/report/{live.report()}/flaws"
    for _ in range(READS):
        _read(live, small)
    status = memory(live, "status")
    before = status.peak
    with sampled(status.sample, every=0.05):
        reads = [_read(live, path) for _ in range(READS)]
    first, total, size = max(read[0] for read in reads), min(read[1] for read in reads), reads[0][2]
    floor = _bare(live, report)
    grown = status.peak - before
    return [
        Row(
            f"flaws of {count:,} findings, first byte, slowest of {READS}",
            milliseconds(first),
            bar=f"<= {milliseconds(BAR_FIRST_BYTE)}",
            holds=first <= BAR_FIRST_BYTE,
        ),
        Row(f"all of it ({size / 1e6:.1f} MB)", f"{total:.2f} s", f"bare COPY {floor:.2f} s", f"{total / floor:.1f}x"),
        Row(
            "status service RSS before and at its peak",
            f"{before / 1e6:.0f} MB, {status.peak / 1e6:.0f} MB",
            bar=f"grows <= {BAR_GROWTH / 1e6:.0f} MB",
            holds=grown <= BAR_GROWTH,
        ),
    ]


def _read(live: Live, path: str) -> tuple[float, float, int]:
    """Seconds to the first byte of the body, seconds in all, and bytes."""
    began = perf_counter()
    first, size = 0.0, 0
    # Not compressed, so that the bytes are those that the service has sent.
    with live.http.stream("GET", path, headers={"accept-encoding": "identity"}) as response:
        response.raise_for_status()
        for piece in response.iter_raw():
            first = first or perf_counter() - began
            size += len(piece)
    return first, perf_counter() - began, size


def _bare(live: Live, report: int) -> float:
    with psycopg.connect(live.database_url) as connection, connection.cursor() as cursor:
        began = perf_counter()
        with cursor.copy(BARE.format(report).encode()) as out:
            for _ in out:
                pass
        return perf_counter() - began
