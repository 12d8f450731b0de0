"""What values.yaml says of its own keys: the comments that begin with `# --`, by path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.chart.place import CHART, GenerationError, values

KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z][A-Za-z0-9]*):(?: |$)")
COMMENT = re.compile(r" *# ?(?P<text>.*)")
MARK = "-- "

Path = tuple[str, ...]


def descriptions() -> dict[Path, str]:
    """One line of text for each key that has a comment, in the order of the file."""
    found: dict[Path, str] = {}
    parents: list[tuple[int, str]] = []
    said: list[str] = []
    for line in (CHART / "values.yaml").read_text().splitlines():
        if comment := COMMENT.fullmatch(line):
            text = comment["text"]
            if text.startswith(MARK):
                said = [text.removeprefix(MARK)]
            elif said:
                said.append(text)
            continue
        if key := KEY.match(line):
            indent = len(key["indent"])
            parents = [each for each in parents if each[0] < indent] + [(indent, key["key"])]
            if said:
                found[tuple(name for _, name in parents)] = " ".join(said)
        said = []
    if silent := sorted(".".join(path) for path in leaves(values()) if not is_described(path, found)):
        raise GenerationError(f"values.yaml says nothing of {', '.join(silent)}.")
    return found


def is_described(path: Path, found: Mapping[Path, str]) -> bool:
    """Is there a comment on the key or on what it is part of?"""
    return any(path[:length] in found for length in range(1, len(path) + 1))


def leaves(tree: Mapping[str, Any], above: Path = ()) -> Iterator[Path]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key)


def default_of(path: Path) -> Any:
    value: Any = values()
    for key in path:
        value = value[key]
    return value
