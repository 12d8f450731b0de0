"""The child that makes a preview, seen from the API: what somebody else's rules make of a sample is nothing of ours."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import msgspec
import structlog

from runtime.errors import InvalidArgument
from services.importer.assets.preview_child import Order

log = structlog.get_logger(__name__)

SECONDS = 20.0
COMMAND = (sys.executable, "-P", "-m", "services.importer.assets.preview_child")
# Nothing of this process's environment, which has credentials in it.
ENVIRONMENT = {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}


async def previewed(order: Order) -> dict[str, Any]:
    """In plain lists and dicts. Raises InvalidArgument PREVIEW_TOO_COSTLY; the child is gone when this ends."""
    process = await asyncio.to_thread(_start)
    try:
        told, _ = await asyncio.to_thread(process.communicate, msgspec.msgpack.encode(order), SECONDS)
    except subprocess.TimeoutExpired:
        raise too_costly() from None
    finally:
        process.kill()
        await asyncio.shield(asyncio.to_thread(process.wait))
    if process.returncode:
        log.info("a preview was not finished", returncode=process.returncode)
        raise too_costly()
    shown: dict[str, Any] = msgspec.json.decode(told)
    return shown


def _start() -> subprocess.Popen[bytes]:
    # Not the event loop's own, which forks: a child of a process with threads of gRPC does not always survive that.
    return subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    )


def too_costly() -> InvalidArgument:
    return InvalidArgument(
        "PREVIEW_TOO_COSTLY",
        "What the mapping makes of the sample takes too much time or memory, or is too long to be shown.",
    )
