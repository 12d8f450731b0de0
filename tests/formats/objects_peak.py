"""Reads a made file of objects in a process of its own; prints how many records it had and the peak of memory in KB."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from bench.documents import Stream
from services.importer.formats.kit.format import Format
from services.importer.formats.registry import BY_NAME
from tests.formats.mapped import adapted, attribute, plan_of, type_plan

PLAN = plan_of(
    type_plan(
        attribute(1, "Name"),
        attribute(2, "Serial"),
        attribute(3, "Cores", "integer"),
        attribute(4, "Owner", "referenced_object", {"objectMappingIQL": '"Name" = ${Owner}'}),
        identifiers=(2,),
    )
)


def documents(format_: Format, count: int) -> Iterator[bytes]:
    """A file of so many records for `PLAN`, in pieces."""
    row = "host-{0},SN{0:08},{1},owner {2}\n" if format_.syntax == "csv" else ""
    record = '{{"Name": "host-{0}", "Serial": "SN{0:08}", "Cores": {1}, "Owner": "owner {2}"}}'
    beginning, between, end = {
        "objects_csv": ("Name,Serial,Cores,Owner\n", "", ""),
        "objects_json": ("[", ",", "]"),
        "objects_chunk": ('{"data": [', ",", '], "completed": true}'),
    }[format_.name]
    yield beginning.encode()
    for at in range(count):
        yield ((between if at else "") + (row or record).format(at, at % 64, at % 5_000)).encode()
    yield end.encode()


def main(name: str, count: str) -> None:
    format_ = adapted(BY_NAME[name], PLAN)
    found = 0
    for raw, _ in format_.walk(Stream(documents(format_, int(count)))):
        found += sum(1 for _ in format_.read(raw))
    # Not ru_maxrss, which begins with the size of the process that this one was forked from.
    status = Path("/proc/self/status").read_text("ascii")
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    sys.stdout.write(f"{found} {peak}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
