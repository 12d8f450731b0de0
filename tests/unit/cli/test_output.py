from __future__ import annotations

import io
import json

import pytest

from cli.output import Output, make_console, size, visible


def output() -> tuple[Output, io.StringIO, io.StringIO]:
    stdout, stderr = io.StringIO(), io.StringIO()
    return Output(make_console(stdout), make_console(stderr)), stdout, stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain Ünïcode 漢字 😀", "plain Ünïcode 漢字 😀"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\r\nb\tc\x00\x7f", "a\\r\\nb\\tc\\x00\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("\u2028\u2029\u200b\ufeff", "\\u2028\\u2029\\u200b\\ufeff"),
        ("\ud800", "\\ud800"),
        ("[bold]markup[/bold] :smile:", "[bold]markup[/bold] :smile:"),
        (5, "5"),
    ],
)
def test_only_what_a_terminal_shows_gets_through(text: object, shown: str) -> None:
    assert visible(text) == shown


def test_tables_facts_and_lines_escape_what_they_are_given() -> None:
    out, stdout, stderr = output()
    out.table(["Name"], [["\x1b[2J[red]x"]], title="\x1bT")
    out.facts([("File", "\x1bF"), ("Nothing", None), ("Empty", "")], title="\x1bG")
    out.line("\x1bL")
    out.hint("\x1bH")
    printed = stdout.getvalue() + stderr.getvalue()
    assert "\x1b" not in printed
    assert "\\x1b[2J[red]x" in printed
    assert "Nothing" not in printed
    assert "Empty" not in printed


def test_json_mode_prints_the_document_and_nothing_else() -> None:
    out, stdout, stderr = output()
    out.json_mode = True
    out.line("line")
    out.hint("hint")
    out.table(["A"], [[1]])
    out.facts([("a", 1)])
    out.document({"name": "\x1b\x7f\u202eü"})
    assert json.loads(stdout.getvalue()) == {"name": "\x1b\x7f\u202eü"}
    assert stdout.getvalue().isascii()
    assert not {"\x1b", "\x7f"} & set(stdout.getvalue())
    assert stderr.getvalue() == ""


def test_a_long_first_column_is_not_folded_in_a_pipe() -> None:
    out, stdout, _ = output()
    name = "0190c2b5-7e1e-7cc3-98c4-dc0c0c07398f"
    out.table(["ID", "File"], [[name, "x" * 150]])
    assert name in stdout.getvalue()


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_500_000, "1.5 MB"), (2 * 10**15, "2000.0 TB")]
)
def test_sizes_are_said_in_decimal_units(count: int, said: str) -> None:
    assert size(count) == said
