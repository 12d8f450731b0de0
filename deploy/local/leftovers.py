"""Processes that carry the mark of an instance, and their end."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import psutil

from deploy.local.instance import Instance
from deploy.local.programs import MARKER

END_SECONDS = 15


def find_leftovers(instance: Instance) -> list[psutil.Process]:
    """Every process of this instance but the caller."""
    mark = f"{MARKER}={instance.state}".encode()
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and mark in variables(process)]


def variables(process: psutil.Process) -> list[bytes]:
    """What the process was started with; none when it is gone or another user's.

    Read here because juicefs overwrites the head of its environment with blanks, and psutil stops reading at the first.
    """
    try:
        return Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def end(processes: list[psutil.Process]) -> None:
    """Terminate, then kill, and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in wait_for_end(processes, END_SECONDS):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_for_end(processes, END_SECONDS)


def wait_for_end(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """The processes that still run after `seconds`."""
    alive: list[psutil.Process] = psutil.wait_procs(processes, timeout=seconds)[1]
    return alive
