"""The checker on the command line: `python -m tests.chaos.check HISTORY`, with the servers by options.

Prints one line for each violation, `INV3 import …: …`, and a last one with their number. Exit code 0: none, 1: some,
2: the history proves nothing.
"""

# ruff: noqa: T201 - what it finds is printed.

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec
from minio import Minio

from tests.chaos.checker import history
from tests.chaos.checker.invariants import INVARIANTS, check
from tests.chaos.checker.reading import Servers, read_world


def main(arguments: list[str] | None = None) -> int:
    given = parse(arguments)
    try:
        recorded = history.read(given.history)
        world = read_world(servers(given), recorded.tenants)
        violations = check(recorded, world)
    except (ValueError, msgspec.DecodeError) as error:
        print(f"cannot be judged: {error}", file=sys.stderr)
        return 2
    for violation in violations:
        print(violation.invariant, violation.evidence)
    broken = sorted({each.invariant for each in violations})
    print(
        f"{len(recorded.jobs)} jobs, {len(world.imports)} imports, {len(recorded.faults)} faults: "
        f"{len(violations)} violations of {len(INVARIANTS)} invariants{': ' if broken else ''}{' '.join(broken)}"
    )
    return 1 if violations else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.check", description=__doc__)
    parser.add_argument("history", type=Path, help="JSON lines, as tests/chaos/checker/history.py has them")
    parser.add_argument("--database", required=True, help="URL of the superuser; the audit schema is installed")
    parser.add_argument("--nats", required=True, help="URL of a user who may do everything")
    parser.add_argument("--s3", required=True, help="host:port")
    parser.add_argument("--s3-access-key", required=True)
    parser.add_argument("--s3-secret-key", required=True)
    parser.add_argument("--bucket", default="hythe")
    parser.add_argument("--secret", action="append", default=[], help="a word that no client may read; repeatable")
    return parser.parse_args(arguments)


def servers(given: argparse.Namespace) -> Servers:
    store = Minio(given.s3, given.s3_access_key, given.s3_secret_key, secure=False)
    return Servers(given.database, given.nats, store, given.bucket, (given.s3_secret_key, *given.secret))


if __name__ == "__main__":
    sys.exit(main())
