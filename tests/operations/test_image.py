"""The install steps of the Dockerfile, run for real in a clean environment: `make image-test`."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.docker.steps import install, of_stage
from deploy.local.instance import ROOT
from deploy.local.services import MODULES
from tests.unit.deploy.test_dockerfile import pins

pytestmark = pytest.mark.timeout(600)

IMPORT_ALL = """
import importlib, pathlib
count = 0
for package in ["cli", "dialects", "hythe", "hythe_client", "runtime", "schema", "services"]:
    (folder,) = importlib.import_module(package).__path__
    for path in pathlib.Path(folder).rglob("*.py"):
        if path.stem != "__main__":
            parts = path.relative_to(folder).with_suffix("").parts
            importlib.import_module(".".join([package, *parts]).removesuffix(".__init__"))
            count += 1
print(count)
"""


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("image"))


def run(venv: Path, command: list[str], folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(venv / "bin"), "HOME": str(folder), "LC_ALL": "C.UTF-8", **settings}
    program = venv / "bin" / command[0]
    return subprocess.run(
        [program, *command[1:]], check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("service", MODULES)
def test_a_service_starts_as_far_as_its_settings(venv: Path, tmp_path: Path, service: str) -> None:
    """Everything is imported by then; what it says of its settings is its own word."""
    (command,) = of_stage("CMD", service)
    started = run(venv, command.command, tmp_path)
    lines = started.stderr.splitlines()
    assert started.returncode == 1
    assert "HYTHE_DATABASE_URL: is required and not set." in lines
    assert all(line.startswith("HYTHE_") for line in lines), started.stderr


def test_the_command_line_answers(venv: Path, tmp_path: Path) -> None:
    (entry,), (options,) = of_stage("ENTRYPOINT", "cli"), of_stage("CMD", "cli")
    answered = run(venv, [*entry.command, *options.command], tmp_path)
    assert answered.returncode == 0
    assert "Land scan files" in answered.stdout


def test_migrations_are_found(venv: Path) -> None:
    (command,) = of_stage("CMD", "migrate")
    printed = run(venv, [*command.command, "--sql"], ROOT, HYTHE_DATABASE_URL="")
    assert printed.returncode == 0, printed.stderr
    assert "ALTER TABLE imports FORCE ROW LEVEL SECURITY;" in printed.stdout


def test_every_module_can_be_imported(venv: Path, tmp_path: Path) -> None:
    imported = run(venv, ["python", "-P", "-c", IMPORT_ALL], tmp_path)
    assert imported.returncode == 0, imported.stderr
    assert int(imported.stdout) > 300


def test_nothing_is_installed_but_what_is_locked(venv: Path, tmp_path: Path) -> None:
    listing = "from importlib.metadata import distributions as all; print(*(each.name for each in all()))"
    listed = run(venv, ["python", "-P", "-c", listing], tmp_path).stdout.split()
    installed = {name.lower().replace("_", "-").replace(".", "-") for name in listed}
    assert installed == {*pins("requirements.txt"), "hythe"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tools = {Requirement(each).name for each in project["optional-dependencies"]["dev"]}
    assert not installed & tools
    assert not {"pip", "setuptools", "wheel"} & installed
    assert not list((venv / "bin").glob("pip*"))
