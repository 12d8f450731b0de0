"""`python -m deploy.docker lock|sbom`: the pinned packages of the images, and the list of what is in them.

The tools for it come into build/tools, pinned by tools.txt; no image and no test needs them.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

from deploy.docker.steps import FOLDER, StepError, install, run
from deploy.local.instance import ROOT

TOOLS = ROOT / "build" / "tools"
SBOM = ROOT / "dist" / "hythe.cdx.json"
# No address of a package index, so that the file says the same wherever it is made.
LOCK_OPTIONS = (
    "--quiet", "--generate-hashes", "--strip-extras", "--allow-unsafe", "--no-annotate",
    "--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links",
)  # fmt: skip


def tool(name: str) -> str:
    pins = FOLDER / "tools.txt"
    stamp = TOOLS / pins.name
    if not stamp.exists() or stamp.read_text() != pins.read_text():
        shutil.rmtree(TOOLS, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(TOOLS)], ROOT, os.environ)
        run([str(TOOLS / "bin" / "pip"), "install", "--quiet", "--requirement", str(pins)], ROOT, os.environ)
        shutil.copy(pins, stamp)
    return str(TOOLS / "bin" / name)


def lock() -> None:
    """Pin what pyproject.toml asks for, and what that needs, with the hash of every file of it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    environment = {**os.environ, "CUSTOM_COMPILE_COMMAND": "make image-lock"}
    wanted = {
        "requirements.txt": project["project"]["dependencies"],
        "build-requirements.txt": project["build-system"]["requires"],
    }
    for name, requirements in wanted.items():
        with tempfile.TemporaryDirectory() as scratch:
            asked = Path(scratch) / "asked.in"
            asked.write_text("\n".join(requirements) + "\n")
            # An older lock is what it starts from: what need not change, does not.
            made = Path(scratch) / name
            if (FOLDER / name).exists():
                shutil.copy(FOLDER / name, made)
            run([tool("pip-compile"), *LOCK_OPTIONS, "--output-file", str(made), str(asked)], ROOT, environment)
            shutil.copy(made, FOLDER / name)
        sys.stdout.write(f"deploy/docker/{name} is up to date\n")


def sbom() -> None:
    """CycloneDX of what the Dockerfile installs: the same steps, in a folder that is then thrown away."""
    with tempfile.TemporaryDirectory() as scratch:
        venv = install(Path(scratch))
        SBOM.parent.mkdir(exist_ok=True)
        options = ["--output-reproducible", "--of", "JSON", "--output-file", str(SBOM)]
        project = ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application"]
        command = [tool("cyclonedx-py"), "environment", *project, *options, str(venv / "bin" / "python")]
        run(command, ROOT, os.environ)
        # Where it was made says nothing about the image.
        text = SBOM.read_text()
        SBOM.write_text(re.sub(re.escape(scratch), "", text))
    sys.stdout.write(
        f"{SBOM.relative_to(ROOT)}: the Python packages of the images (Python {sysconfig.get_python_version()})\n"
    )


if __name__ == "__main__":
    work = {"lock": lock, "sbom": sbom}.get(sys.argv[1] if len(sys.argv) == 2 else "")  # noqa: PLR2004
    if work is None:
        raise SystemExit(__doc__)
    try:
        work()
    except StepError as error:
        raise SystemExit(str(error)) from None
