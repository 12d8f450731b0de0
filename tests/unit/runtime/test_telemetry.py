from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import structlog

from runtime.telemetry import clean_text, configure_logging


def logged(capsys: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_our_logs_and_those_of_libraries_are_json_lines(capsys: Any) -> None:
    configure_logging("upload", "INFO")
    structlog.get_logger("ours").info("file stored", size_bytes=5)
    logging.getLogger("library").warning("something %s", "happened", extra={"count": 3})
    logging.getLogger("library").debug("not this")
    ours, theirs = logged(capsys)
    assert (ours["event"], ours["size_bytes"], ours["level"], ours["service"]) == ("file stored", 5, "info", "upload")
    assert (theirs["event"], theirs["count"], theirs["level"]) == ("something happened", 3, "warning")


def test_bound_ids_are_in_every_line(capsys: Any) -> None:
    configure_logging("worker")
    with structlog.contextvars.bound_contextvars(import_id="i-1", request_id="r-1"):
        structlog.get_logger("x").info("one")
        logging.getLogger("y").error("two")
    assert [(line["import_id"], line["request_id"]) for line in logged(capsys)] == [("i-1", "r-1")] * 2


def test_a_level_that_is_not_wanted_is_not_written(capsys: Any) -> None:
    configure_logging("worker", "ERROR")
    structlog.get_logger("x").warning("no")
    structlog.get_logger("x").error("yes")
    assert [line["event"] for line in logged(capsys)] == ["yes"]


def raise_with(text: str) -> None:
    raise ConnectionError(text)


def test_secrets_do_not_reach_the_log(capsys: Any) -> None:
    configure_logging("worker")
    url = "http://s3:9000/hythe/uploads/c1/a.xml?X-Amz-Signature=hunter2"
    try:
        raise_with(url)
    except ConnectionError:
        structlog.get_logger("x").exception(
            "failed",
            url=url,
            database="postgresql+psycopg://role:hunter2@host/db",
            authorization="Bearer hunter2",
            nested={"password": "hunter2", "path": "/a?token=hunter2"},
            several=[f"GET {url} 200"],
            error=ValueError(url),
        )
    text = capsys.readouterr().out
    assert "hunter2" not in text
    assert "http://s3:9000/hythe/uploads/c1/a.xml?[redacted]" in text
    assert "postgresql+psycopg://[redacted]@host/db" in text


@pytest.mark.parametrize(
    "text", ["is this all?", "what? no", "a@b.c wrote", "10/20 records", "/path/to/file:3", "nats://host:4222", ""]
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert clean_text(text) == text
