"""`python -m bench [NAME…]`: measures against a stack of its own and prints each figure beside its floor."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from time import perf_counter

from bench import (
    fetch,
    flaws,
    flip,
    formats,
    large,
    listing,
    objects,
    parse,
    records,
    small,
    startup,
    trigger,
    upload,
    upload_parts,
)
from bench.live import Live, live
from bench.options import Options, say
from bench.rows import Row, show

Measure = Callable[[Live, Options], list[Row]]

# In this order, so that in a shared stack no figure stands on the millions of rows of another.
ON_A_STACK: dict[str, Measure] = {
    "small": small.measure,
    "trigger": trigger.measure,
    "upload": upload.measure,
    "parts": upload_parts.measure,
    "flaws": flaws.measure,
    "import": large.measure,
    "records": records.measure,
    "objects": objects.measure,
    "fetch": fetch.measure,
    "flip": flip.measure,
    "listing": listing.measure,
}
ALONE: dict[str, Callable[[Options], list[Row]]] = {
    "startup": startup.measure,
    "parse": parse.measure,
    "formats": formats.measure,
}
NAMES = (*ALONE, *ON_A_STACK)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all without one")
    parser.add_argument("--size-mb", type=float, help="size of the files of `import`, `upload` and `parts`")
    parser.add_argument("--quick", action="store_true", help="everything a tenth, on one stack")
    parser.add_argument("--full", action="store_true", help="files of 10 and 5 million rows, uploads of 5 and 6 GB")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(NAMES))
    if unknown:
        parser.error(f"no such figure: {', '.join(unknown)} (there are {', '.join(NAMES)})")
    names = [name for name in NAMES if name in chosen.names or not chosen.names]
    folder = Path(tempfile.mkdtemp(prefix="hythe-bench-files-"))
    try:
        options = Options(folder, quick=chosen.quick, full=chosen.full, size_mb=chosen.size_mb)
        sys.exit(run(names, options))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(names: Sequence[str], options: Options) -> int:
    """Measures one after the other; a figure that fails costs its own rows only, and the exit status."""
    failed = 0
    with shared_stack(names, options) as stack:
        for name in names:
            began = perf_counter()
            say(f"{name}: load {os.getloadavg()[0]:.1f}")
            try:
                rows = measure(name, options, stack)
            except Exception as error:  # noqa: BLE001  (the other figures are still wanted)
                failed = 1
                rows = [Row(name, f"failed: {type(error).__name__}: {error}", holds=False)]
            except SystemExit as ended:
                failed = 1
                rows = [Row(name, str(ended), holds=False)]
            show(
                f"{name} ({perf_counter() - began:.0f} s, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)",
                rows,
            )
    return failed


@contextmanager
def shared_stack(names: Sequence[str], options: Options) -> Iterator[Live | None]:
    """One for all figures of a quick run; otherwise each has a new one, with nothing stored."""
    if options.quick and any(name in ON_A_STACK for name in names):
        with live() as one:
            say(f"stack up in {one.started_seconds:.1f} s")
            yield one
    else:
        yield None


def measure(name: str, options: Options, shared: Live | None) -> list[Row]:
    if name in ALONE:
        return ALONE[name](options)
    with nullcontext(shared) if shared else live() as stack:
        return partial(ON_A_STACK[name], stack)(options)


if __name__ == "__main__":
    main()
