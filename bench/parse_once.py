"""One parse in a process of its own, which imports nothing else: `python -m bench.parse_once WHAT FILE`."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from time import process_time
from xml.parsers import expat

from services.importer.formats import registry
from services.importer.formats.kit.format import Items

READ_BYTES = 1024 * 1024


def _bare(path: Path) -> int:
    parser = expat.ParserCreate()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            parser.Parse(block)
    parser.Parse(b"", True)
    return 0


def _split(path: Path) -> int:
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            line.split("|")
    return 0


def _parse(name: str, path: Path) -> int:
    format_ = registry.BY_NAME[name]
    records = 0
    with path.open("rb", buffering=0) as file:
        for item in format_.walk(file):
            # The engine takes a run as it is.
            if isinstance(item, Items):
                records += len(item.raw)
                continue
            for _record in format_.read(item.raw):
                records += 1
    return records


def main() -> None:
    """One measurement in this process: a bare pass (`expat`, `split`) or the name of a format, and a file."""
    what, path = sys.argv[1], Path(sys.argv[2])
    # As the engine's child has it: a parser makes few reference cycles.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    began = process_time()
    bare = {"expat": _bare, "split": _split}.get(what)
    records = bare(path) if bare else _parse(what, path)
    seconds = process_time() - began
    print(json.dumps({"seconds": seconds, "peak_mb": _peak_megabytes(), "records": records}))


def _peak_megabytes() -> float:
    # getrusage would count what the parent had before this process was exec'd.
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]
    return int(kilobytes) * 1024 / 1e6


if __name__ == "__main__":
    main()
