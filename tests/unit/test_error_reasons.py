"""docs/errors.md and the code say the same: every reason that a client can see, with its codes, and no other."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import errors
from runtime.errors import ServiceError

ROOT = Path(__file__).parents[2]
FOLDERS = ("dialects", "runtime", "services")
REASON = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
WORDY_REASON = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")

SERVICE_ERRORS: dict[str, type[ServiceError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ServiceError)
}
# Whose first argument is a code that people see beside an import.
CODED = {
    *("ImportFailure", "RetryableFailure", "DamagedFile", "RecordError", "Refused", "Rejected", "Caution", "Note"),
    *("BadValue", "Remark", "cannot_be_read"),
}

# What stands alone there in capitals are words of the files: elements, states.
FORMATS = Path("services/importer/formats")
NOT_REASONS = {
    "CVSS3_1": "a name in PlexTrac's shape of a finding",
    "IMPORTED_WITH_ERRORS": "a state of a file of records",
    "INVALID_CONFIGURATION": "a state of an import source",
    "PASS_THROUGH": "what a parser action does",
    "PENDING_UPLOAD": "a state of a file of records",
    "QUEUE_UNAVAILABLE": "no call of a client waits for the queue",
}
# runtime/wire.py makes `<SERVICE>_UNAVAILABLE` for each service that another one calls.
CALLED_SERVICES = ("IDENTITY", "IMPORTER", "STATUS")


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text())


def called_name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def exported_names(tree: ast.Module) -> set[ast.AST]:
    """What stands in `__all__`, which is in capitals and no reason."""
    exports = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and "__all__" in {each.id for each in node.targets if isinstance(each, ast.Name)}
    ]
    return {inner for each in exports for inner in ast.walk(each)}


def reasons_in(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """Each reason with the name of what is called with it (if anything) and its line."""
    exported = exported_names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Call(args=[ast.Constant(value=str(reason)), *_]) if called_name(node) in {*SERVICE_ERRORS, *CODED}:
                if REASON.fullmatch(reason):
                    yield reason, called_name(node), node.lineno
            case ast.Constant(value=str(reason)) if WORDY_REASON.fullmatch(reason) and node not in exported:
                yield reason, "", node.lineno


@pytest.fixture(scope="module")
def raised() -> dict[str, dict[str, list[str]]]:
    """Reason -> what is called with it -> where."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, tree in sources():
        for reason, name, line in reasons_in(tree):
            if reason not in NOT_REASONS and (name or FORMATS not in path.parents):
                found[reason][name].append(f"{path}:{line}")
    for service in CALLED_SERVICES:
        found[f"{service}_UNAVAILABLE"]["Unavailable"].append("runtime/wire.py")
    return found


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    """The cells of each table row whose first cell is a reason."""
    lines = (ROOT / "docs" / "errors.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in cells if row[0].startswith("`")]


def reasons_of(row: list[str]) -> list[str]:
    return re.findall(r"`([A-Z0-9_]+)`", row[0])


def test_every_reason_is_explained(raised: dict[str, dict[str, list[str]]], rows: list[list[str]]) -> None:
    explained = {reason for row in rows for reason in reasons_of(row)}
    missing = {reason: list(where.values()) for reason, where in raised.items() if reason not in explained}
    assert not missing


def test_nothing_is_explained_that_is_never_raised(
    raised: dict[str, dict[str, list[str]]], rows: list[list[str]]
) -> None:
    words = {node.value for _, tree in sources() for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    stale = [reason for row in rows for reason in reasons_of(row) if reason not in raised and reason not in words]
    assert not stale


def test_the_codes_beside_a_reason_are_those_of_its_error(
    raised: dict[str, dict[str, list[str]]], rows: list[list[str]]
) -> None:
    told = {reason: (row[1], row[2]) for row in rows if len(row) == 5 for reason in reasons_of(row)}
    for reason, where in raised.items():
        for name, places in where.items():
            if name in SERVICE_ERRORS:
                kind = SERVICE_ERRORS[name]
                assert told.get(reason) == (kind.code.name, str(kind.http_status)), (reason, places)


def test_every_row_says_something_in_every_cell_and_no_reason_is_explained_twice_in_a_table(
    rows: list[list[str]],
) -> None:
    assert [row for row in rows if len(row) not in {2, 3, 5} or not all(row)] == []
    for length in (2, 3, 5):
        reasons = [reason for row in rows if len(row) == length for reason in reasons_of(row)]
        assert len(reasons) == len(set(reasons))


def test_the_search_finds_reasons_however_they_are_written() -> None:
    code = """
__all__ = ["NOT_ONE"]
raise NotFound("A_THING", "x")
raise errors.Unavailable("SIMPLE", "x")
raise DamagedFile(
    "TRUNCATED", "x"
)
self._refuse("TOO_MUCH", "x")
finish(State.FAILED, "WORKER_GONE", "x")
notes.append(("ODD_NOTE", "x", 1))
code = "A_WORD" if x else "B_WORD"
log.info("not a reason", key="lower_case")
"""
    assert {reason for reason, _, _ in reasons_in(ast.parse(code))} == {
        "A_THING", "SIMPLE", "TRUNCATED", "TOO_MUCH", "WORKER_GONE", "ODD_NOTE", "A_WORD", "B_WORD",
    }  # fmt: skip
