"""What a parser child may not do: no network, no files, no core, bounded memory and CPU."""

from __future__ import annotations

import ctypes
import os
import resource

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


def drop_network() -> bool:
    """Moves this process into an empty network namespace. False where the platform does not let us.

    Done once in the fork server, so that no child pays for it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    flags = (CLONE_NEWNET,) if os.geteuid() == 0 else (CLONE_NEWUSER | CLONE_NEWNET,)
    return any(libc.unshare(flag) == 0 for flag in flags)


def limit_resources(memory_bytes: int, cpu_seconds: int) -> None:
    """Limits that the kernel holds for us, whatever the parser does.

    A parser writes to its pipe only, so files may have no bytes.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    # The soft limit sends SIGXCPU, which ends the child and is told apart from a crash; the hard limit is the last
    # word.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
