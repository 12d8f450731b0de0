"""Parser actions and writeups of a tenant, and the right requests about them."""

from __future__ import annotations

import secrets
from typing import Any

import grpc

from hythe.importer.v1 import parser_actions_pb2 as actions
from hythe.importer.v1.parser_actions_pb2_grpc import ParserActionServiceStub

SECONDS = 60


def new_action(mark: str) -> actions.ParserAction:
    """With an id that nothing else has. An error repeats it, so it does not bear the mark."""
    return actions.ParserAction(
        source="nessus", action_id=secrets.token_hex(8), title=mark, severity=actions.SEVERITY_LOW
    )


def new_writeup(mark: str, writeup_id: int = 0) -> actions.Writeup:
    return actions.Writeup(writeup_id=writeup_id, title=mark, severity=actions.SEVERITY_LOW)


def add_action(channel: grpc.Channel, metadata: Any, mark: str) -> str:
    request = actions.CreateParserActionRequest(action=new_action(mark))
    made = ParserActionServiceStub(channel).CreateParserAction(request, timeout=SECONDS, metadata=metadata)
    return str(made.action.action_id)


def add_writeup(channel: grpc.Channel, metadata: Any, mark: str) -> int:
    request = actions.CreateWriteupRequest(writeup=new_writeup(mark))
    made = ParserActionServiceStub(channel).CreateWriteup(request, timeout=SECONDS, metadata=metadata)
    return int(made.writeup.writeup_id)
