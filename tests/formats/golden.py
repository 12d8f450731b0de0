"""The expected records of the samples: one JSON line for each record, in files beside the samples.

`python -m tests.formats.golden [family …]` writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec

from services.importer.formats.kit.format import ByteStream, Format, Item, Items, RecordError
from services.importer.formats.registry import FORMATS

DATA = Path(__file__).parent.parent / "data"


# What stands beside the samples: expected records, and templates of large documents.
BESIDE = frozenset({".jsonl", ".template"})
HEAD_BYTES = 4096


def files(family: str) -> list[Path]:
    """The samples of all formats of a family."""
    return sorted(path for path in (DATA / family).iterdir() if path.suffix not in BESIDE)


def samples(format_: Format) -> list[Path]:
    """The samples of a format: the files in the folder of its family that it takes."""
    return [path for path in files(format_.family) if format_.sniff(path.read_bytes()[:HEAD_BYTES])]


def golden_path(format_: Format, sample: Path) -> Path:
    return sample.with_name(f"{sample.name}.{format_.name}.jsonl")


def items(format_: Format, stream: ByteStream) -> Iterator[Item]:
    """Each item by itself, those of a run too; their lines stand one behind the other."""
    for item in format_.walk(stream):
        if isinstance(item, Items):
            for line, record in enumerate(format_.read(item.raw), item.position.line):
                yield Item((record,), item.position._replace(line=line))
        else:
            yield item


def outcome(format_: Format, stream: ByteStream) -> Iterator[list[Any]]:
    """What each item of a file gives, in order: position, then its records or its error, as plain data."""
    for number, (raw, position) in enumerate(items(format_, stream), 1):
        yield [number, "item", *position]
        try:
            for record in format_.read(raw):
                yield [number, *msgspec.to_builtins(record)]
        except RecordError as error:
            yield [number, "RecordError", error.code, error.field, error.message, error.value]


def outcome_of(format_: Format, data: bytes) -> list[list[Any]]:
    return list(outcome(format_, BytesIO(data)))


def lines(format_: Format, data: bytes) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in outcome_of(format_, data))


def main(*families: str) -> None:
    """Of these families, or of all."""
    for format_ in FORMATS:
        if families and format_.family not in families:
            continue
        for sample in samples(format_):
            golden_path(format_, sample).write_text(lines(format_, sample.read_bytes()), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
