from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import certifi
import pytest

from dialects.assets.source_settings import CustomSettings, Secrets
from runtime.destinations import Destinations
from services.fetcher import registered
from services.fetcher.failures import SourceError
from services.fetcher.http import Http
from services.fetcher.way import Way

WAY = Way(Destinations(), allow_http=False, authorities=certifi.where())


def shelf(options: Mapping[str, Any], secrets: Mapping[str, str], http: Http) -> Iterator[Any]:
    """As one that an operator has installed."""
    for number in range(options["books"]):
        yield {"Name": f"{secrets['prefix']}{number}"}
    if options.get("broken"):
        yield "no row"
    if options.get("url"):
        http.get(options["url"])


class Entry:
    def load(self) -> registered.Reader:
        return shelf


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry_points(*, group: str, name: str) -> list[Entry]:
        return [Entry()] if (group, name) == ("hythe.readers", "shelf") else []

    monkeypatch.setattr(registered, "entry_points", entry_points)


def rows(**options: Any) -> list[Any]:
    secrets = Secrets(values={"prefix": "book "})
    return list(registered.read(CustomSettings(reader="shelf", options={"books": 2, **options}), secrets, WAY))


def test_a_reader_gets_options_and_secrets_and_gives_rows() -> None:
    assert rows() == [{"Name": "book 0"}, {"Name": "book 1"}]


def test_what_is_no_row_is_told_with_its_number() -> None:
    with pytest.raises(SourceError, match="Row 3"):
        rows(broken=True)


def test_the_client_of_a_reader_goes_by_the_guard() -> None:
    with pytest.raises(SourceError) as failed:
        rows(url="https://127.0.0.1/")
    assert failed.value.code == "DESTINATION_FORBIDDEN"


def test_a_reader_that_is_not_installed_is_told() -> None:
    with pytest.raises(SourceError) as failed:
        list(registered.read(CustomSettings(reader="other"), Secrets(), WAY))
    assert failed.value.code == "READER_UNKNOWN"
