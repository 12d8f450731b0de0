from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runtime import failpoints
from runtime.failpoints import POINTS, FailpointReached, failpoint, parse

ROOT = Path(__file__).parents[3]
CODE = [path for folder in ("runtime", "services") for path in (ROOT / folder).rglob("*.py")]
POINT = "flip.before_commit"


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"from runtime.failpoints import failpoint\n{code}"],
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_each_declared_point_is_called_from_exactly_one_place() -> None:
    text = "\n".join(path.read_text() for path in CODE)
    assert {name: text.count(f'failpoint("{name}")') for name in POINTS} == dict.fromkeys(POINTS, 1)


def test_every_point_that_is_called_is_declared() -> None:
    called = {part.partition('"')[0] for path in CODE for part in path.read_text().split('failpoint("')[1:]}
    assert called - POINTS == set()


def test_a_point_that_nothing_arms_does_nothing() -> None:
    failpoint(POINT)


def test_raise_acts_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_armed", parse(f"{POINT}:raise"))
    for _ in range(2):
        with pytest.raises(FailpointReached, match=POINT):
            failpoint(POINT)


def test_a_count_acts_at_that_hit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_armed", parse(f"{POINT}:raise:2"))
    failpoint(POINT)
    with pytest.raises(FailpointReached):
        failpoint(POINT)
    failpoint(POINT)


def test_several_points_are_armed_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_armed", parse(f"{POINT}:sleep=0.001,flip.step:raise"))
    failpoint(POINT)
    with pytest.raises(FailpointReached):
        failpoint("flip.step")


def test_with_a_folder_a_point_acts_once_for_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in ("a process", "the one that follows it"):
        monkeypatch.setattr(failpoints, "_armed", parse(f"{POINT}:raise", tmp_path))
        if not (tmp_path / POINT).exists():
            with pytest.raises(FailpointReached):
                failpoint(POINT)
        failpoint(POINT)
    assert [file.name for file in tmp_path.iterdir()] == [POINT]


@pytest.mark.parametrize(
    "text",
    [
        "flip.before_comit:exit", POINT, f"{POINT}:", f"{POINT}:die", f"{POINT}:sleep", f"{POINT}:sleep=long",
        f"{POINT}:exit:x", f"{POINT}:exit:-1", f"{POINT}:exit:1:1", ":exit",
    ],
)  # fmt: skip
def test_what_arms_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="FAILPOINT"):
        parse(text)


def test_exit_ends_the_process_like_a_kill(tmp_path: Path) -> None:
    environment = {"FAILPOINT": f"{POINT}:exit", "FAILPOINT_ONCE_DIR": str(tmp_path)}
    code = f"failpoint({POINT!r}); print('on')"
    assert (run(code, **environment).returncode, run(code, **environment).stdout) == (137, "on\n")


def test_a_wrong_variable_ends_the_process_at_its_start() -> None:
    done = run("print('on')", FAILPOINT="no.such:exit")
    assert (done.returncode, done.stdout) == (1, "")
    assert "names no known point" in done.stderr
