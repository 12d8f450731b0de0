from __future__ import annotations

from pathlib import Path

import pytest

from services.identity.bootstrap import BootstrapFailed, read_secret


def test_a_secret_is_read_without_the_line_end_that_an_editor_adds(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("  correct horse\n")
    assert read_secret(file, 12) == "correct horse"


def test_a_short_secret_is_refused_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2")
    with pytest.raises(BootstrapFailed, match="shorter than 12") as failed:
        read_secret(file, 12)
    assert "hunter2" not in str(failed.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BootstrapFailed, match="absent"):
        read_secret(tmp_path / "absent", 12)
