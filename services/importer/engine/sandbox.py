"""What a parser child may not do: no network, no files, no core, bounded memory and CPU."""

from __future__ import annotations

import ctypes
import os
import resource

BYTES_PER_CPU_SECOND = 1_000_000

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


def drop_network() -> bool:
    """Moves this process into an empty network namespace. False where the platform does not let us.

    Done once in the fork server, so that no child pays for it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    flags = (CLONE_NEWNET,) if os.geteuid() == 0 else (CLONE_NEWUSER | CLONE_NEWNET,)
    return any(libc.unshare(flag) == 0 for flag in flags)


def limit_resources(memory_bytes: int, cpu_seconds: int, unpacked_bytes: int = 0) -> None:
    """Limits that the kernel holds for us, whatever the parser does.

    A parser writes to its pipe only, so files may have no bytes. The child may allow itself more CPU time for what it
    unpacks, up to that of `unpacked_bytes`.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    # The soft limit sends SIGXCPU, which ends the child and is told apart from a crash; the hard limit is the last
    # word.
    most = cpu_seconds + seconds_for(unpacked_bytes)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, most + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def allow_for(cpu_seconds: int, unpacked: int) -> None:
    """More CPU time for so many bytes that came out of an archive: as much as for a file of that size."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds + seconds_for(unpacked), most))


def seconds_for(size: int) -> int:
    """The CPU time that reading so many bytes may take, beside what every file has."""
    return size // BYTES_PER_CPU_SECOND
