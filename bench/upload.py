"""The same bytes put through the gateway and straight to S3, with signatures of the same kind."""

from __future__ import annotations

from http import HTTPStatus
from http.client import HTTPConnection
from itertools import repeat
from pathlib import Path
from random import Random
from time import perf_counter
from urllib.parse import urlsplit

from bench.live import Live
from bench.options import Options, say, write_file
from bench.rows import Row
from bench.sampling import memory, sampled
from deploy.local import s3
from deploy.local.ports import address

DEFAULT_MEGABYTES, FULL_MEGABYTES = 2_000, 5_000
BLOCK = 1 << 20
ROUNDS = 2
BAR_RATIO = 0.8
# What a proxy may take for its buffers, whatever the size of the file.
BAR_GROWTH = 32e6
PUBLIC_PATH = "/cloud/uploads/"


def measure(live: Live, options: Options) -> list[Row]:
    megabytes = options.megabytes(DEFAULT_MEGABYTES, FULL_MEGABYTES)
    path = options.folder / "upload.bin"
    size = write_file(path, repeat(Random(1).randbytes(BLOCK), max(1, round(megabytes * 1e6 / BLOCK))))
    gateway = memory(live, "gateway")
    before = gateway.peak
    _put(live, path, is_straight=True)
    through, straight = [], []
    # One after the other in turn, so that a machine that becomes slow does so for both.
    for number in range(ROUNDS):
        with sampled(gateway.sample, every=0.1):
            through.append(_put(live, path, is_straight=False))
        straight.append(_put(live, path, is_straight=True))
        say(f"upload {number + 1}: gateway {through[-1]:.1f} s, straight {straight[-1]:.1f} s")
    path.unlink()
    rate, bare = size / min(through) / 1e6, size / min(straight) / 1e6
    grown = gateway.peak - before
    return [
        Row(
            f"{size / 1e6:,.0f} MB through the gateway",
            f"{rate:.0f} MB/s",
            f"straight to S3: {bare:.0f} MB/s",
            f"{rate / bare:.2f}",
            f">= {BAR_RATIO}",
            rate / bare >= BAR_RATIO,
        ),
        Row(
            "gateway RSS before and at its peak",
            f"{before / 1e6:.0f} MB, {gateway.peak / 1e6:.0f} MB",
            bar=f"grows <= {BAR_GROWTH / 1e6:.0f} MB",
            holds=grown <= BAR_GROWTH,
        ),
    ]


def _put(live: Live, path: Path, *, is_straight: bool) -> float:
    """Seconds of one PUT to a key of its own."""
    url = urlsplit(live.post("/api/v2/presigned-url", {"name": path.name})["url"])
    host, target = url.netloc, f"{url.path}?{url.query}"
    if is_straight:
        # The signature is of this host and path: the gateway puts them back.
        host = address(live.stack.instance.ports.s3)
        target = f"/{s3.BUCKET}/uploads/{url.path.removeprefix(PUBLIC_PATH)}?{url.query}"
    connection = HTTPConnection(host, timeout=900, blocksize=BLOCK)
    with path.open("rb") as file:
        began = perf_counter()
        connection.request("PUT", target, body=file, headers={"Content-Length": str(path.stat().st_size)})
        response = connection.getresponse()
        said = response.read()
        seconds = perf_counter() - began
    connection.close()
    if response.status != HTTPStatus.OK:
        raise SystemExit(f"the upload was refused: {response.status} {said[:200]!r}")
    return seconds
