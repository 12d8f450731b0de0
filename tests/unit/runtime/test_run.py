from __future__ import annotations

import json
from typing import Any

import pytest

from runtime.server import run


async def broken() -> None:
    message = "cannot use postgresql://role:hunter2@host/db"
    raise ValueError(message)


def test_a_process_that_fails_says_why_in_the_log_and_ends_with_an_error(capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        run(broken())
    assert ended.value.code == 1
    line = json.loads(capsys.readouterr().out)
    assert line["event"] == "process failed"
    assert "cannot use" in line["exception"]
    assert "hunter2" not in line["exception"]
