"""Which scanners a worker takes, and that it does not start with one and nowhere to write verdicts."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from runtime.settings import load
from services.importer.settings import ScanSettings, WorkerSettings
from services.importer.worker_root import open_gate


@pytest.mark.parametrize(
    "url",
    ["", "icap://scanner/avscan", "icap://[::1]:1344/a?b=c", "http://127.0.0.1:8080", "https://u:p@scanner.example/x"],
)
def test_a_scanner_is_named_by_a_url(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYTHE_SCAN_URL", url)
    settings = load(ScanSettings)
    assert settings.scan_url.get_secret_value() == url
    assert not url or url not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "scanner", "icap://scanner", "icap://scanner/", "icap:///avscan", "icaps://scanner/avscan", "ftp://a/b",
        "http://", "http://a:99999/", "http://a:0/", "http://a/b c", "http://a/b\r\nX: y", "http://a/#b", "http://[a/",
    ],
)  # fmt: skip
def test_another_url_ends_the_worker_with_a_word(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYTHE_SCAN_URL", url)
    with pytest.raises(SystemExit, match=r"HYTHE_SCAN_URL: .*must be icap"):
        load(ScanSettings)


def settings_with(monkeypatch: pytest.MonkeyPatch, **more: str) -> WorkerSettings:
    needed = {
        "METRICS_LISTEN": "127.0.0.1:1", "DATABASE_URL": "postgresql+psycopg://a@127.0.0.1:1/a", "PUBLIC_URL": "http://a",
        "NATS_URL": "nats://a", "S3_ENDPOINT": "127.0.0.1:1", "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "a",
    }  # fmt: skip
    for name, value in {**needed, **more}.items():
        monkeypatch.setenv(f"HYTHE_{name}", value)
    return load(WorkerSettings)


async def test_without_a_scanner_there_is_no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack:
        assert await open_gate(settings_with(monkeypatch), stack) is None


async def test_a_scanner_needs_a_place_for_its_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_with(monkeypatch, SCAN_URL="icap://127.0.0.1/a")
    async with AsyncExitStack() as stack:
        with pytest.raises(SystemExit, match="HYTHE_AUDIT_DATABASE_URL"):
            await open_gate(settings, stack)


async def test_with_both_there_is_a_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    audit = "postgresql+psycopg://a@127.0.0.1:1/a"
    settings = settings_with(monkeypatch, SCAN_URL="http://127.0.0.1/a", AUDIT_DATABASE_URL=audit)
    async with AsyncExitStack() as stack:
        assert await open_gate(settings, stack) is not None
