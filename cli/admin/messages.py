"""Protobuf messages as the rows and documents that commands print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from cli.output import Output
from hythe.options.v1 import options_pb2


def document_of(message: Message) -> dict[str, Any]:
    """All members, also those that are empty, under the names of the proto."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def moment(stamp: Timestamp) -> str:
    """Local time to the second, or nothing for a time that was not set."""
    if not stamp.seconds:
        return ""
    return f"{stamp.ToDatetime(UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def role_name(role: options_pb2.Role.ValueType) -> str:
    return options_pb2.Role.Name(role).removeprefix("ROLE_").lower()


def state_of(is_disabled: bool) -> str:
    return "disabled" if is_disabled else "active"


def print_list(
    output: Output, name: str, messages: Iterable[Message], columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    if output.json_mode:
        output.document({name: [document_of(message) for message in messages]})
    output.table(columns, rows)


def print_secret(output: Output, message: Message, told: str, name: str, secret: str) -> None:
    """The outcome of a command that makes a secret, which is never shown again."""
    if output.json_mode:
        output.document(document_of(message))
        return
    output.line(told)
    if secret:
        output.facts([(name, secret)])
        output.hint("It is shown only now. Keep it in a safe place.")


def print_change(output: Output, message: Message, told: str) -> None:
    if output.json_mode:
        output.document(document_of(message))
    output.line(told)
