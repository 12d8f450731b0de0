"""What the formats of Checkmarx share about code: findings of queries, files, states, paths from source to sink.

A finding is a query, whatever number of places it was found in; its title is the query's name with spaces for
underscores, as PlexTrac has it. Components are in `components.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from services.importer.formats.kit.evidence import evidence
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cwes_in
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    custom_fields,
    finding_key,
    line,
    public_number,
    title_number,
    whole,
)
from services.importer.targets.findings.records import Asset, Caution, Evidence, Finding, Severity

SOURCE = "Checkmarx"

# PlexTrac's words for every finding of this tool (its page on Checkmarx).
DESCRIPTION = "This was identified via Checkmarx scanner, please view affected assets for more details."

# The triage states of CxSAST by their numbers.
STATES = ("to verify", "not exploitable", "confirmed", "urgent", "proposed not exploitable")

_LEFT_OUT = {"not exploitable": "FALSE_POSITIVE", "fixed": "FIXED"}
_CWE_MAX = 10**6


class Step(NamedTuple):
    """One node of a path through the code, from the source of the data to where it does harm."""

    file: str
    line: str
    column: str
    name: str
    code: str


def title_of(name: str) -> str:
    return line(name.replace("_", " "), TITLE_LIMIT)


def query_finding(
    once: Once,
    key: str,
    name: str,
    severity: Severity,
    *,
    description: str = "",
    recommendations: str = "",
    references: str = "",
    cwes: tuple[int, ...] = (),
    fields: dict[str, str] | None = None,
    tags: tuple[str, ...] = (),
) -> Finding:
    """The finding of a query. `key` is its id, or another text that is the same in all reports. Texts are bounded."""
    told = fields or {}

    def make() -> Finding:
        title = title_of(name)
        links = [f"CWE-{number} https://cwe.mitre.org/data/definitions/{number}.html" for number in cwes]
        return Finding(
            key=finding_key(key, title),
            number=public_number(key, title) if whole(key) else title_number(title),
            title=title,
            severity=severity,
            description=description or DESCRIPTION,
            recommendations=recommendations,
            references="\n".join([*links, references] if references else links),
            source=SOURCE,
            cwes=cwes,
            fields=custom_fields(told),
            tags=tags,
        )

    texts = (key, name, description, recommendations, references, *told.values())
    return once(("query_finding", severity, cwes, tags, *told, *texts), make)


def query_key(group: str, name: str) -> str:
    """A key for queries whose reports have no id, or one that was rounded: the group, as in `Java_High_Risk`, and name.

    Groups are per language, so the same name in two languages stays two.
    """
    return f"{group}/{name}" if group else name


def group_of(text: str) -> str:
    """The group of a query, without the remark that the command line adds to those of infrastructure."""
    return line(text.removesuffix("[Taken from category]"))


def cwes_of(*texts: str) -> tuple[int, ...]:
    """The CWE numbers in texts like `79` or `CWE-79`."""
    numbers = [number for text in texts if (number := whole(text)) and number < _CWE_MAX]
    return tuple(dict.fromkeys([*numbers, *cwes_in(texts)]))


def severity_or_caution(word: str) -> tuple[Severity, tuple[Caution, ...]]:
    """The severity a word stands for; Informational, and a caution, for one that is none."""
    severity = severity_of_word(word)
    if severity is not None:
        return severity, ()
    message = f'The severity "{line(word, 40)}" was read as Informational.'
    return Severity.INFORMATIONAL, (Caution("UNKNOWN_SEVERITY", message),)


def left_out(name: str, *states: str) -> Caution | None:
    """Why a result with these states is not imported; None where it is."""
    for state in states:
        word = state.strip().lower().replace("_", " ")
        if code := _LEFT_OUT.get(word):
            return Caution(code, f'A result of "{line(name, NAME_LIMIT)}" is marked as {word} and left out.')
    return None


def file_asset(once: Once, file: str, project: str = "") -> Asset:
    """The file a result is in; the project where it names none. Raises `RecordError` where there is neither."""
    name = line(file) or line(project)
    if not name:
        raise RecordError("MISSING_FIELD", "FileName", "The result names no file.")
    description = line(f"File of the project {project}") if project and file.strip() else ""
    return once(
        ("file", name, description), lambda: Asset(ref=name, name=name, type="Application", description=description)
    )


def place_of(file: str, number: str, column: str = "") -> str:
    """A file with line and column, as compilers write it. The column keeps several results of a line apart."""
    file = line(file, URL_LIMIT // 2 - 50)
    if not (file and whole(number)):
        return file
    return f"{file}:{number}:{column}" if whole(column) else f"{file}:{number}"


def flow_of(source: str, sink: str) -> str:
    """Where data comes from and where it does harm; one of the two where they are the same or only one is known."""
    return f"{source} -> {sink}"[:URL_LIMIT] if source and sink and source != sink else source or sink


def trace(caption: str, steps: Iterable[Step]) -> Evidence:
    """A path through the code, one node after the other."""
    lines = []
    for number, step in enumerate(steps, 1):
        lines.append(f"{number}. {place_of(step.file, step.line, step.column)} {step.name}".rstrip())
        if step.code.strip():
            lines.append(step.code.strip("\r\n"))
    return evidence(line(caption), "\n".join(lines))


def labelled(told: Iterable[tuple[str, str]]) -> str:
    """Lines like `Status: New`, for those that have a text."""
    return "\n".join([f"{label}: {line(text, URL_LIMIT)}" for label, text in told if text.strip()])
