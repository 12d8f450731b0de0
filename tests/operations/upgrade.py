"""`make test-upgrade`: the release before this one passes its end-to-end tests on the schema of this one.

That is what a rolling upgrade is for a while, and what is left when the code of an upgrade is taken back. The previous
release is the newest tag before this commit; its tree is unpacked into build/upgrade, with an environment of its own.
Its tests run as they are. Only the tables differ: made by its migrations, then brought to this tree's newest revision
(plugins/next_schema.py).
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from deploy.local.instance import ROOT

PLUGINS = Path(__file__).with_name("plugins")
E2E = "tests/e2e"


def git(root: Path, *arguments: str) -> bytes | None:
    """What git prints; None where it refuses, or where there is no git."""
    try:
        done = subprocess.run(["git", *arguments], check=False, cwd=root, capture_output=True)  # noqa: S607 - whichever there is
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def previous_tag(root: Path) -> str | None:
    """The newest tag before this commit, whose own tag does not count."""
    here = git(root, "tag", "--points-at", "HEAD")
    start = "HEAD^" if here and here.strip() else "HEAD"
    found = git(root, "describe", "--tags", "--abbrev=0", start)
    return found.decode().strip() if found else None


def unpack(root: Path, tag: str, folder: Path) -> None:
    """The tree of a tag. What was made there by an earlier run, its environment first of all, stays."""
    archive = git(root, "archive", "--format=tar", tag)
    if archive is None:
        message = f"git cannot give the tree of {tag}."
        raise SystemExit(message)
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def main(arguments: Sequence[str]) -> int:
    tag = previous_tag(ROOT)
    if tag is None:
        sys.stdout.write("test-upgrade: skipped, because there is no tag before this commit.\n")
        return 0
    folder = ROOT / "build" / "upgrade" / tag.replace("/", "_")
    unpack(ROOT, tag, folder)
    sys.stdout.write(f"test-upgrade: {tag} on the schema of this tree, in {folder.relative_to(ROOT)}\n")
    sys.stdout.flush()
    # What make has told this process is not for that one's make.
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    }
    subprocess.run(["make", "setup"], check=True, cwd=folder, env=environment)  # noqa: S607 - the one that runs this
    return subprocess.run(
        [folder / ".venv" / "bin" / "python", "-m", "pytest", "-p", "next_schema", *(arguments or [E2E])],
        check=False,
        cwd=folder,
        env={
            **environment,
            "PYTHONPATH": str(PLUGINS),
            "HYTHE_NEXT_ROOT": str(ROOT),
            "HYTHE_NEXT_PYTHON": sys.executable,
        },
    ).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
