"""Which release `make test-upgrade` compares with."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.operations.upgrade import previous_tag, unpack

PERSON = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
}


def git(repository: Path, *arguments: str) -> None:
    command = ["git", *arguments]
    subprocess.run(command, check=True, cwd=repository, env=PERSON, capture_output=True)


def commit(repository: Path, text: str) -> None:
    (repository / "release").write_text(text)
    git(repository, "add", "release")
    git(repository, "commit", "-m", text)


def test_it_is_the_newest_tag_before_this_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "one")
    assert previous_tag(tmp_path) is None
    git(tmp_path, "tag", "v1")
    assert previous_tag(tmp_path) is None, "its own tag is not before it"
    commit(tmp_path, "two")
    assert previous_tag(tmp_path) == "v1"
    git(tmp_path, "tag", "v2")
    assert previous_tag(tmp_path) == "v1"
    commit(tmp_path, "three")
    assert previous_tag(tmp_path) == "v2"
    unpack(tmp_path, "v1", tmp_path / "there")
    assert (tmp_path / "there" / "release").read_text() == "one"


def test_where_there_is_no_history_there_is_none(tmp_path: Path) -> None:
    assert previous_tag(tmp_path) is None
