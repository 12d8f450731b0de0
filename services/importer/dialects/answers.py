"""Documents as the opaque messages that the gateway writes as JSON, and answers that have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

NO_CONTENT = (("x-http-status", "204"),)
"""The initial metadata of an answer without a body."""


def struct(members: Mapping[str, Any]) -> Struct:
    return ParseDict(dict(members), Struct())
