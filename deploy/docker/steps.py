"""What the Dockerfile does to install Hythe, read from the Dockerfile itself and run without Docker.

Only the stage `build` is run: each ENV and WORKDIR with a path of an image leads into a folder instead. What later
stages do to their own file system is for an image builder alone.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from deploy.local.instance import ROOT

FOLDER = Path(__file__).parent
DOCKERFILE = FOLDER / "Dockerfile"
IGNORE = FOLDER / "Dockerfile.dockerignore"
BUILD = "build"
# What an install needs of the caller: how to reach the package index, and through what.
FROM_CALLER = ("PIP_", "SSL_", "REQUESTS_", "HTTP_", "HTTPS_", "NO_PROXY")


class StepError(Exception):
    """The Dockerfile does something that cannot be run here, or a step failed; the message says which."""


@dataclass(frozen=True, slots=True)
class Instruction:
    stage: str
    word: str
    """ENV, RUN, …"""
    text: str
    """What follows it, continued lines joined."""

    @property
    def command(self) -> list[str]:
        """Of a CMD or an ENTRYPOINT in the exec form."""
        return [str(part) for part in json.loads(self.text)]


def instructions(text: str) -> list[Instruction]:
    """All of a Dockerfile in order; those before the first FROM are of the stage ""."""
    found, stage = [], ""
    for line in _joined(text):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stage = rest.rpartition(" AS ")[2]
        found.append(Instruction(stage, word, rest.strip()))
    return found


def _joined(text: str) -> Iterator[str]:
    """Lines without comments, each with those that continue it."""
    begun = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            continue
        begun += line.strip().removesuffix("\\")
        if not line.rstrip().endswith("\\"):
            yield begun
            begun = ""


def of_stage(word: str, stage: str) -> list[Instruction]:
    return [each for each in instructions(DOCKERFILE.read_text()) if (each.word, each.stage) == (word, stage)]


def install(into: Path) -> Path:
    """Run the stage `build` in this empty folder, and give the virtual environment that an image would get."""
    base = into / "base"
    run([sys.executable, "-m", "venv", str(base)], into, os.environ)
    settings = {
        "PATH": f"{base / 'bin'}:/usr/bin:/bin",
        "HOME": str(into),
        **{name: value for name, value in os.environ.items() if name.upper().startswith(FROM_CALLER)},
    }
    folder = into
    for each in instructions(DOCKERFILE.read_text()):
        if each.stage != BUILD:
            continue
        match each.word:
            case "FROM":
                continue
            case "ENV":
                pairs = (pair.partition("=") for pair in shlex.split(each.text))
                settings |= {name: inside(into, value) for name, _, value in pairs}
            case "WORKDIR":
                folder = Path(inside(into, each.text))
                folder.mkdir(parents=True)
            case "COPY":
                copy(shlex.split(each.text), folder)
            case "RUN":
                run(["/bin/sh", "-c", each.text], folder, settings)
            case _:
                message = f"{each.word} {each.text} cannot be run without Docker."
                raise StepError(message)
    return Path(settings["VENV"])


def inside(into: Path, value: str) -> str:
    return f"{into}{value}" if value.startswith("/") else value


def copy(arguments: list[str], folder: Path) -> None:
    """COPY of what the build context has: what the ignore file lets in, without compiled modules."""
    *sources, target = arguments
    for source in sources:
        if not is_in_context(source):
            message = f"{IGNORE.name} keeps {source} from the build."
            raise StepError(message)
        if (ROOT / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.py[cod]")
            shutil.copytree(ROOT / source, folder / target, ignore=ignored)
        else:
            shutil.copy(ROOT / source, folder / target)


def is_in_context(path: str) -> bool:
    """Whether the last rule of the ignore file that speaks of it, or of a folder above it, lets it in."""
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    is_ignored = False
    for line in IGNORE.read_text().splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!")
        # `**/` is at any depth.
        at_any_depth = pattern.startswith("**/")
        matched = parts if at_any_depth else above
        if any(fnmatch(each, pattern.removeprefix("**/")) for each in matched):
            is_ignored = not rule.startswith("!")
    return not is_ignored


def run(command: list[str], folder: Path, environment: os._Environ[str] | dict[str, str]) -> str:
    """What it prints. Raises StepError with that when it fails."""
    done = subprocess.run(
        command, check=False, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        message = f"{shlex.join(command)}\nfailed:\n{done.stdout}".rstrip()
        raise StepError(message)
    return done.stdout
