"""Checks a sync file on this machine with the code that imports it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.errors import CliError, ExitCode
from cli.output import Output
from cli.sync_keys import KeyLog, Repeats, key_log
from hythe_client.files import regular_size
from services.importer.formats import registry
from services.importer.formats.kit.format import DamagedFile, Format, RecordError, WrongFormat
from services.importer.formats.kit.redaction import redacted, shown_value
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.published import PUBLISHED
from services.importer.targets.records.records import Caution, Delete, Header, Upsert

HEAD_BYTES = 4096
SOURCE = "cc5"
# As the import warns of it, with as many rows.
REPEATED = "DUPLICATE_KEY_IN_FILE"
# Which workspace and bucket a file is sent to is not known here, but no import takes one that names none.
NO_PLACE = "PLACE_MISSING"


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that an import would leave out. `value` is shortened, and without what looks like a secret."""

    line: int
    field: str
    code: str
    message: str
    value: str


@dataclass(slots=True)
class Findings:
    """What an import would make of the file. `refused` is why it would apply nothing; `errors` are the first ones.

    `repeats` are of the rows that can be used.
    """

    header: Header | None = None
    upserts: int = 0
    deletes: int = 0
    rejected: int = 0
    errors: list[RowError] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    cautions: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: RowError | None = None
    repeats: Repeats = field(default_factory=Repeats)

    @property
    def is_clean(self) -> bool:
        return self.refused is None and not self.rejected

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.SUCCEEDED if self.is_clean else ExitCode.FAILED


def lint(path: Path, *, shown: int, with_schemas: bool = True, require_footer: bool = True) -> Findings:
    """Reads the file once, as a stream. CliError for one that is no sync file."""
    regular_size(path)
    demands = Demands(schemas=tuple(PUBLISHED) if with_schemas else (), require_footer=require_footer)
    findings = Findings()
    with path.open("rb") as file, key_log() as keys:
        head = file.read(HEAD_BYTES)
        file.seek(0)
        try:
            found = registry.resolve(SOURCE, head)
            _read(found.adapt(demands) if found.adapt else found, file, findings, keys, shown)
        except WrongFormat as error:
            raise CliError(f"{path.name}: {error}", ExitCode.USAGE) from None
        except DamagedFile as error:
            findings.refused = RowError(error.position.line, "", error.code, redacted(error.message), "")
        findings.repeats = keys.repeats(shown)
    return findings


def _read(format_: Format, file: Any, findings: Findings, keys: KeyLog, shown: int) -> None:
    for raw, position in format_.walk(file):
        try:
            for record in format_.read(raw):
                _count(record, findings, keys)
        except RecordError as error:
            findings.rejected += 1
            findings.codes[error.code] += 1
            if len(findings.errors) < shown:
                value = shown_value(error.value, error.field)
                told = RowError(position.line, error.field, error.code, redacted(error.message), value)
                findings.errors.append(told)


def _count(record: object, findings: Findings, keys: KeyLog) -> None:
    match record:
        case Upsert():
            findings.upserts += 1
            keys.add(record.key, record.line)
        case Delete():
            findings.deletes += 1
            keys.add(record.key, record.line)
        case Caution(code=code, message=message):
            findings.cautions[code, message] += 1
        case Header():
            findings.header = record
            for name in ("workspace", "bucket"):
                if not getattr(record, name):
                    told = f"Row 01 names no {name}: an import of the file is refused as WORKSPACE_MISMATCH."
                    findings.cautions[NO_PLACE, told] += 1


def show(output: Output, path: Path, findings: Findings) -> None:
    """Tables for people, or one JSON object."""
    if output.json_mode:
        output.document(document(path, findings))
        return
    header = findings.header
    if header:
        output.facts(
            [
                ("Entity type", header.entity_type),
                ("Data source", header.data_source),
                ("Key", ", ".join(header.keys)),
                ("Columns", len(header.columns)),
                ("Reference", header.reference_id),
            ]
        )
    if findings.errors:
        columns = ("Line ", "Column", "Code", "Message", "Value")
        output.table(columns, [(e.line, e.field, e.code, e.message, e.value) for e in findings.errors])
        left_out = findings.rejected - len(findings.errors)
        if left_out:
            output.line(f"… and {left_out} more.")
    if repeats := findings.repeats.shown:
        about = ("First line ", "Last line ", "Rows ", "Key")
        output.table(about, [(each.first, each.last, each.rows, _shown_key(each.key, header)) for each in repeats])
        left_out = findings.repeats.keys - len(repeats)
        if left_out:
            output.line(f"… and {left_out} more.")
    if findings.repeats.keys:
        keys, skipped = findings.repeats.keys, findings.repeats.skipped
        told = "1 key comes" if keys == 1 else f"{keys} keys come"
        rows = "1 row" if skipped == 1 else f"{skipped} rows"
        output.line(f"Warning: {told} several times; the last row of each counts. ({REPEATED}, {rows})", "yellow")
    for (code, message), count in findings.cautions.items():
        output.line(f"Warning: {message} ({code}{f', {count} times' if count > 1 else ''})", "yellow")
    if findings.refused:
        at = f"line {findings.refused.line}: " if findings.refused.line else ""
        output.line(f"Refused: {at}{findings.refused.message} ({findings.refused.code}) Nothing is applied.", "red")
        return
    rejected = f"{findings.rejected} of no use" if findings.rejected else "all of use"
    output.line(f"{path.name}: {findings.upserts} rows 10, {findings.deletes} rows 90, {rejected}.")


def document(path: Path, findings: Findings) -> dict[str, Any]:
    header = findings.header
    return {
        "file": path.name,
        "is_clean": findings.is_clean,
        "header": header
        and {
            "entity_type": header.entity_type,
            "data_source": header.data_source,
            "reference_id": header.reference_id,
            "keys": list(header.keys),
            "columns": [{"code": code, "type": type_} for code, type_ in header.columns],
        },
        "upserts": findings.upserts,
        "deletes": findings.deletes,
        "rejected": findings.rejected,
        "codes": dict(sorted(findings.codes.items())),
        "errors": _errors(findings.errors),
        "warnings": [
            {"code": code, "message": message, "count": count} for (code, message), count in findings.cautions.items()
        ],
        "refused": _errors([findings.refused])[0] if findings.refused else None,
        "repeated_keys": findings.repeats.keys,
        "skipped": findings.repeats.skipped,
        "repeats": [
            {"key": _shown_key(each.key, header), "first_line": each.first, "last_line": each.last, "rows": each.rows}
            for each in findings.repeats.shown
        ],
    }


def _shown_key(key: str, header: Header | None) -> str:
    """Without what looks like a secret: lists are read by more people than files are."""
    return shown_value(key, " ".join(header.keys) if header else "")


def _errors(errors: Sequence[RowError]) -> list[dict[str, Any]]:
    return [
        {"line": each.line, "column": each.field, "code": each.code, "message": each.message, "value": each.value}
        for each in errors
    ]
