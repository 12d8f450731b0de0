"""The images' Dockerfile, as far as it can be read without building one."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.docker.steps import DOCKERFILE, FOLDER, instructions, is_in_context, of_stage
from deploy.local.instance import ROOT
from deploy.local.services import MODULES

INSTRUCTIONS = instructions(DOCKERFILE.read_text())
PIN = re.compile(r"^([a-z0-9-]+)==(\S+) \\$", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((FOLDER / name).read_text()))


def project() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("service", MODULES)
def test_each_service_has_an_image_that_starts_what_the_local_stack_starts(service: str) -> None:
    (command,) = of_stage("CMD", service)
    assert command.command == ["python", "-m", MODULES[service]]
    assert of_stage("FROM", service)[0].text == f"runtime AS {service}"


def test_the_image_is_the_stage_that_service_names() -> None:
    last = [each for each in INSTRUCTIONS if each.word == "FROM"][-1]
    assert last.text == "${SERVICE} AS image"
    assert {each.word for each in INSTRUCTIONS if each.stage == "image"} == {"FROM", "ARG", "LABEL"}


def test_it_runs_as_a_numeric_user_who_is_not_root() -> None:
    (user,) = [each for each in INSTRUCTIONS if each.word == "USER"]
    assert user.stage == "runtime"
    numbers = [int(number) for number in user.text.split(":")]
    assert len(numbers) == 2
    assert min(numbers) > 0


def test_every_install_is_by_hash_and_of_wheels() -> None:
    installs = [
        part for each in INSTRUCTIONS if each.word == "RUN" for part in each.text.split("&&") if " install " in part
    ]
    assert len(installs) == 3
    for install in installs:
        assert "--no-deps" in install
        assert ("--require-hashes" in install and "--only-binary :all:" in install) or "--no-index" in install


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.txt", project()["project"]["dependencies"]),
        ("build-requirements.txt", project()["build-system"]["requires"]),
    ],
)
def test_the_lock_has_what_the_project_asks_for(lock: str, wanted: list[str]) -> None:
    """`make image-lock` writes it anew."""
    pinned = pins(lock)
    for requirement in map(Requirement, wanted):
        assert str(requirement.specifier) == f"=={pinned[requirement.name.lower().replace('_', '-')]}", requirement.name


@pytest.mark.parametrize("lock", ["requirements.txt", "build-requirements.txt"])
def test_every_package_of_a_lock_has_hashes_and_no_index_is_named(lock: str) -> None:
    text = (FOLDER / lock).read_text()
    assert "://" not in text
    packages = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(packages) == len(pins(lock))
    assert all("--hash=sha256:" in package for package in packages)


def test_the_wheel_is_built_of_all_that_is_copied_and_ignored_files_stay_out() -> None:
    sources = {
        source
        for each in INSTRUCTIONS
        if each.word == "COPY" and not each.text.startswith("--from")
        for source in each.text.split()[:-1]
    }
    assert all((ROOT / source).exists() for source in sources)
    assert all(is_in_context(source) for source in sources)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]
    assert all(any(Path(package).is_relative_to(source) for source in sources) for package in packages)
    for outside in (".git", ".env", ".state/secrets.json", "tests", "deploy/local", "clients/other", "cli/__pycache__"):
        assert not is_in_context(outside), outside


def test_migrations_run_in_every_image() -> None:
    copied = [each.text for each in of_stage("COPY", "runtime")]
    assert "alembic.ini ./" in copied
    assert "migrations migrations" in copied
    assert find_spec("alembic")


def test_the_base_image_takes_a_digest_and_none_is_written() -> None:
    arguments = dict(each.text.partition("=")[::2] for each in INSTRUCTIONS if each.word == "ARG" and not each.stage)
    assert arguments["PYTHON_DIGEST"] == ""
    assert "@sha256" not in DOCKERFILE.read_text()
    (base,) = of_stage("FROM", "base")
    assert base.text.startswith("${PYTHON_IMAGE}${PYTHON_DIGEST:+@${PYTHON_DIGEST}}")
    assert arguments["PYTHON_IMAGE"].startswith("python:3.11-slim")
