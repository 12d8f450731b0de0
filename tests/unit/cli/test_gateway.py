from __future__ import annotations

import httpx
import pytest

from cli.errors import CliError, Unreachable
from cli.gateway import Gateway
from cli.session import ApiKey
from tests.fakes.gateway import API_KEY, FakeGateway, refused


def gateway(fake: FakeGateway) -> Gateway:
    return Gateway(httpx.Client(base_url=fake.url, transport=fake.transport), ApiKey(API_KEY))


@pytest.mark.parametrize(
    ("status", "exit_code"), [(400, 2), (404, 2), (409, 1), (401, 3), (503, 3)]
)  # fmt: skip
def test_a_refusal_has_the_servers_words_and_the_exit_code_of_its_kind(status: int, exit_code: int) -> None:
    fake = FakeGateway()
    fake.failures = iter([refused(status, "Because.")])
    with pytest.raises(CliError, match="Because") as caught:
        gateway(fake).client_rows()
    assert caught.value.exit_code == exit_code
    assert caught.value.details == {"status": status}


@pytest.mark.parametrize("body", [b"", b"<html>", b'"text"', b"null"])
def test_a_refusal_that_is_not_ours_is_told_by_its_status(body: bytes) -> None:
    fake = FakeGateway()
    fake.failures = iter([httpx.Response(500, content=body)])
    with pytest.raises(CliError, match="status 500") as caught:
        gateway(fake).client_rows()
    assert caught.value.exit_code == 3


def test_an_answer_of_something_else_is_named_so() -> None:
    fake = FakeGateway()
    fake.failures = iter([httpx.Response(200, text="<html>It works!</html>")])
    with pytest.raises(CliError, match="not as Hythe does"):
        gateway(fake).client_rows()


def test_a_trigger_is_repeated_under_the_same_idempotency_key() -> None:
    fake = FakeGateway()
    fake.failures = iter([httpx.ReadTimeout("slow"), refused(503, "later")])
    started = gateway(fake).start_import(
        1, 5, "nessus", key="c1/a", file_name="a", asset_tags=[], finding_tags=[], request_id="mine"
    )
    assert started == "import-1"
    assert [request.headers["idempotency-key"] for request in fake.requests] == ["mine"] * 3


def test_making_a_client_is_not_repeated() -> None:
    fake = FakeGateway()
    fake.failures = iter([httpx.ReadTimeout("slow")])
    with pytest.raises(Unreachable):
        gateway(fake).create_client("New")
    assert len(fake.requests) == 1


@pytest.mark.parametrize(("limit", "found"), [(1, 1), (250, 250), (2_000, 250)])
def test_my_imports_are_paged_by_the_last_key(limit: int, found: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.gateway.LARGEST_PAGE", 100)
    rows = gateway(FakeGateway()).my_imports(limit)
    assert len({row.key for row in rows}) == len(rows) == found


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    fake = FakeGateway()
    with pytest.raises(CliError, match="no such import"):
        gateway(fake).my_import("../../v1/client/list?x=")
    assert fake.requests[0].url.raw_path == b"/api/v2/my-imports/..%2F..%2Fv1%2Fclient%2Flist%3Fx%3D"
