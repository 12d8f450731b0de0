"""Failpoints: named places where a test makes this process die, stand still or fail.

In production each is one look-up in an empty dict.

`FAILPOINT=name:action[:n][,name:action[:n]]` arms them when the process starts. Actions:

- `exit`: the process is gone at once, with the exit code of a kill -9. Nothing is flushed, closed or handed over.
- `sleep=SECONDS`: the calling thread stands still. Most points are on the event loop, and then nothing else of the
  process moves either, heartbeats of leases and messages least of all: what SIGSTOP does, at an exact place. So a sleep
  that is longer than the lease makes a zombie. On a thread of its own (reading an input) only that thread waits.
- `raise`: FailpointReached, which is a RuntimeError.

With `n` the action happens at the n-th time only, counted in this process; without it, each time. A process that is
started again has the same environment: with FAILPOINT_ONCE_DIR each armed point acts once for all processes that share
that folder, and leaves a file of its name there, by which a test knows that the point was reached.

Every point is declared here, so that a sweep over POINTS is complete, and is called from one place in the code.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

KILLED = 137

POINTS: frozenset[str] = frozenset(
    {
        # The API: a trigger and the commands on an import.
        "trigger.before_commit",
        "trigger.after_commit",
        "command.before_commit",
        "command.after_commit",
        # The upload service: a key is reserved, parts are put together or given up.
        "upload.before_commit",
        "upload.after_commit",
        "parts.before_commit",
        "parts.after_commit",
        # The dispatcher: imports to the workers, ends to whoever wants to know.
        "dispatch.before_publish",
        "dispatch.after_publish",
        "dispatch.before_commit",
        "dispatch.after_commit",
        "announce.before_commit",
        "announce.after_commit",
        "announce.before_publish",
        "announce.after_publish",
        "announce.before_forgetting",
        "announce.after_forgetting",
        # One attempt at one delivery to a webhook.
        "webhook.before_taking",
        "webhook.after_taking",
        "webhook.before_send",
        "webhook.after_send",
        "webhook.before_commit",
        "webhook.after_commit",
        # The worker, from the message to the ack.
        "worker.fetched",
        "claim.before_commit",
        "claim.after_commit",
        "prepare.before_commit",
        "prepare.after_commit",
        "chunk.before_commit",
        "chunk.after_commit",
        "report.before_write",
        "report.after_write",
        "flip.before_merge",
        "flip.step",
        "flip.before_commit",
        "flip.after_commit",
        "undo.before_apply",
        "undo.before_commit",
        "undo.after_commit",
        "end.before_commit",
        "end.after_commit",
        "handback.before_commit",
        "ack.before",
        "ack.after",
        "refusal.before_ack",
        "nak.before",
        "nak.after",
        # The fetcher, from the message to the ack.
        "fetch.taken",
        "fetch.before_claim",
        "fetch.after_claim",
        "fetch.before_landing",
        "fetch.after_landing",
        "fetch.before_handover",
        "fetch.before_handback",
        "fetch.before_end",
        "fetch.after_end",
        "fetch.before_ack",
        "fetch.after_ack",
        "fetch.before_refusal",
        "fetch.before_nak",
        "fetch.after_nak",
        # The object store, in whatever process calls it.
        "storage.before_head",
        "storage.after_head",
        "storage.before_open",
        "storage.after_open",
        "storage.before_put",
        "storage.after_put",
        "storage.before_delete",
        "storage.after_delete",
        "storage.before_begin",
        "storage.after_begin",
        "storage.before_list",
        "storage.after_list",
        "storage.before_complete",
        "storage.after_complete",
        "storage.before_abort",
        "storage.after_abort",
    }
)


class FailpointReached(RuntimeError):
    """What the action `raise` raises."""


class FailpointSettings(BaseSettings):
    """Not a setting of a service: without the prefix of those, and for tests only."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    failpoint: str = ""
    failpoint_once_dir: Path | None = None


@dataclass
class Armed:
    """What happens at one point."""

    name: str
    act: Callable[[str], None]
    nth: int = 0
    """0: each time."""
    once_dir: Path | None = None
    hits: int = field(default=0, init=False)

    def reach(self) -> None:
        self.hits += 1
        if self.nth not in {0, self.hits}:
            return
        if self.once_dir is not None and not _is_first(self.once_dir / self.name):
            return
        self.act(self.name)


def failpoint(name: str) -> None:
    """Does what this point is armed with, if it is."""
    if (armed := _armed.get(name)) is not None:
        armed.reach()


def parse(text: str, once_dir: Path | None = None) -> Mapping[str, Armed]:
    """The armed points of a FAILPOINT variable. Raises ValueError that says which part is wrong."""
    points = {}
    for part in filter(None, text.split(",")):
        name, action, nth = [*part.strip().split(":"), "", ""][:3]
        if name not in POINTS:
            message = f"FAILPOINT: {part!r} names no known point; it must be name:action[:n]"
            raise ValueError(message)
        if not (nth or "0").isdecimal() or part.count(":") > 2:  # noqa: PLR2004  (three members at most)
            message = f"FAILPOINT: {part!r} must be name:action[:n]"
            raise ValueError(message)
        points[name] = Armed(name, _action(part, action), int(nth or 0), once_dir)
    return points


def _action(part: str, action: str) -> Callable[[str], None]:
    kind, _, value = action.partition("=")
    if kind == "sleep" and value.replace(".", "", 1).isdecimal():
        seconds = float(value)
        return lambda _: time.sleep(seconds)
    if action in ACTIONS:
        return ACTIONS[action]
    message = f"FAILPOINT: {part!r}: the action must be exit, raise or sleep=SECONDS"
    raise ValueError(message)


def _exit(_: str) -> None:
    os._exit(KILLED)


def _raise(name: str) -> None:
    raise FailpointReached(name)


ACTIONS: Mapping[str, Callable[[str], None]] = {"exit": _exit, "raise": _raise}


def _is_first(token: Path) -> bool:
    """Whether nobody has made this file before; made by whoever asks first."""
    try:
        token.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _arm() -> Mapping[str, Armed]:
    settings = FailpointSettings()
    try:
        return parse(settings.failpoint, settings.failpoint_once_dir)
    except ValueError as error:
        raise SystemExit(str(error)) from None


_armed = _arm()
