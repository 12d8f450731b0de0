"""Every format on a file of its own, and on the largest real one where there are any, beside a peer's parser."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench import peer
from bench.documents import DOCUMENTS, items_for
from bench.options import Options, write_file
from bench.parse import apart
from bench.rows import Row
from services.importer.formats.registry import FORMATS

MEGABYTES = 10
MEMORY_BAR = 60.0
# DESIGN asks for three times the peer where files are large; elsewhere no slower than it.
LARGE, LARGE_BAR, OTHERS_BAR = frozenset({"nessus", "burp", "nmap", "qualys_vm_report"}), 3.0, 1.0

_CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
_HEAD_BYTES = 4096


def measure(options: Options) -> list[Row]:
    """CPU of one pass of `walk` and `read`, in a process of its own; so the peer."""
    rows = []
    for each in FORMATS:
        path = options.folder / f"{each.name}{each.extensions[0]}"
        write_file(path, DOCUMENTS[each.name](items_for(each.name, options.megabytes(MEGABYTES))))
        rows.append(_row(each.name, path, f"{each.name}, generated"))
        path.unlink()
    for name, path in _largest().items():
        try:
            rows.append(_row(name, path, f"{name}, {path.name}"))
        except subprocess.CalledProcessError:
            rows.append(Row(f"{name}, {path.name}", "refused"))
    return rows


def _largest() -> dict[str, Path]:
    """The largest real file of each format, where the collection of them is beside the checkout."""
    found: dict[str, Path] = {}
    for path in sorted(_CORPUS.glob("*/*"), key=lambda each: each.stat().st_size):
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        found.update({each.name: path for each in FORMATS if each.sniff(head)})
    return found


def _row(name: str, path: Path, what: str) -> Row:
    megabytes = path.stat().st_size / 1e6
    ours, theirs = apart(name, path), peer.parse(name, path)
    rate, peak = megabytes / ours["seconds"], ours["peak_mb"]
    ratio = theirs["seconds"] / ours["seconds"] if theirs else None
    least = (LARGE_BAR if name in LARGE else OTHERS_BAR) if ratio else 0.0
    return Row(
        f"{what}, {megabytes:.1f} MB",
        f"{rate:.0f} MB/s, {peak:.0f} MB",
        f"peer {megabytes / theirs['seconds']:.1f} MB/s, {theirs['peak_mb']:.0f} MB" if theirs else "",
        f"{ratio:.1f}x" if ratio else "",
        f"{f'>= {least:.0f}x, ' if least else ''}<= {MEMORY_BAR:.0f} MB",
        peak <= MEMORY_BAR and (ratio is None or ratio >= least),
    )
