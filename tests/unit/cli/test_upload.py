from __future__ import annotations

import io
import os
import random
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from cli import sending, upload
from cli.context import Cli
from cli.errors import CliError, ExitCode
from cli.sending import ATTEMPTS
from tests.fakes.gateway import FakeGateway, FakeUpload, refused
from tests.unit.cli.conftest import Terminal

PART = 10
BREAK = httpx.WriteError("Broken pipe")
EXPIRED = httpx.Response(403, text="<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
AWAY = httpx.Response(503, text="no healthy upstream")


class Sender:
    """Sends a file as one run of the command does."""

    def __init__(self, terminal: Terminal, path: Path) -> None:
        self.terminal = terminal
        self.path = path
        self.said = ""

    @property
    def gateway(self) -> FakeGateway:
        return self.terminal.gateway

    def send(self, part_size: int = PART, *, use: Any = lambda file: file) -> str:
        """The key; `use` gets what the block is for."""
        stderr = io.StringIO()
        try:
            with self.cli(stderr) as cli, upload.sent(cli, self.path, part_size) as file:
                use(file)
                return file.key
        finally:
            self.said = stderr.getvalue()

    def cli(self, stderr: io.StringIO) -> Cli:
        return self.terminal.cli(io.StringIO(), stderr)

    def broken_off(self, after: int) -> None:
        """A run that got no further than this part."""
        self.gateway.part_answers = lambda _, number: None if number <= after else BREAK
        with pytest.raises(CliError) as failure:
            self.send()
        assert upload.GOES_ON in failure.value.message
        self.gateway.part_answers = lambda _, _number: None


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "FIRST_PAUSE_SECONDS", 0)


@pytest.fixture
def sender(terminal: Terminal, tmp_path: Path) -> Sender:
    path = tmp_path / "large.nessus"
    path.write_bytes(random.Random(1).randbytes(95))
    return Sender(terminal, path)


@pytest.mark.parametrize("size", [11, 20, 95, 10 * 3 * sending.WINDOW + 1])
def test_a_file_in_parts_arrives_whole(sender: Sender, size: int) -> None:
    sender.path.write_bytes(random.Random(size).randbytes(size))
    key = sender.send()
    assert sender.gateway.stored == {key: sender.path.read_bytes()}
    assert set(sender.gateway.uploads[key].sent.values()) == {1}
    assert "Going on" not in sender.said
    assert "100%" in sender.said


@pytest.mark.parametrize("size", [0, 1, PART])
def test_a_small_file_is_one_put(sender: Sender, size: int) -> None:
    sender.path.write_bytes(b"x" * size)
    key = sender.send()
    assert sender.gateway.stored == {key: b"x" * size}
    assert sender.gateway.uploads == {}
    assert sender.gateway.asked("POST", "/api/v2/presigned-url") == [{"name": "large.nessus", "size": size}]


@pytest.mark.parametrize("failure", [BREAK, EXPIRED, AWAY, httpx.ReadError("reset")], ids=repr)
def test_a_part_that_fails_is_sent_again_by_a_fresh_url(sender: Sender, failure: Any) -> None:
    used: list[str] = []

    def answer(sent: FakeUpload, number: int) -> Any:
        if number == 3:
            used.append(sender.gateway.requests[-1].url.params["serial"])
        return failure if number == 3 and sent.sent[3] < ATTEMPTS else None

    sender.gateway.part_answers = answer
    key = sender.send()
    assert sender.gateway.stored[key] == sender.path.read_bytes()
    assert len(set(used)) == ATTEMPTS
    assert {number for number, times in sender.gateway.uploads[key].sent.items() if times > 1} == {3}


def test_a_part_whose_answer_got_lost_is_not_sent_again(sender: Sender) -> None:
    def answer(sent: FakeUpload, number: int) -> Any:
        if number != 2:
            return None
        sent.parts[2] = sender.gateway.bodies[-1]
        return BREAK

    sender.gateway.part_answers = answer
    key = sender.send()
    assert sender.gateway.uploads[key].sent[2] == 1
    assert sender.gateway.stored[key] == sender.path.read_bytes()


def test_what_the_store_refuses_for_good_is_not_tried_again(sender: Sender) -> None:
    sender.gateway.part_answers = lambda _, number: httpx.Response(400) if number == 1 else None
    with pytest.raises(CliError, match="status 400"):
        sender.send()
    assert next(iter(sender.gateway.uploads.values())).sent[1] == 1


def test_after_a_break_the_same_command_sends_what_is_missing(sender: Sender) -> None:
    sender.broken_off(after=6)
    [(key, begun)] = sender.gateway.uploads.items()
    there = set(begun.parts)
    assert there == {1, 2, 3, 4, 5, 6}
    begun.sent.clear()
    assert sender.send() == key
    assert set(begun.sent) == set(range(1, 11)) - there
    assert sender.gateway.stored == {key: sender.path.read_bytes()}
    assert "Going on with an upload that was begun before: 6 of 10 parts (60 B) are there." in sender.said
    assert list((sender.terminal.home / "uploads").glob("*.json")) == []


def test_a_file_that_has_changed_begins_anew_and_leaves_no_parts(sender: Sender) -> None:
    sender.broken_off(after=6)
    [old] = sender.gateway.uploads
    sender.path.write_bytes(random.Random(2).randbytes(95))
    os.utime(sender.path, ns=(0, 1))
    key = sender.send()
    assert key != old
    assert old not in sender.gateway.uploads
    assert sender.gateway.stored == {key: sender.path.read_bytes()}


def test_a_file_that_changes_while_it_is_sent_is_not_imported(sender: Sender) -> None:
    def answer(_: FakeUpload, number: int) -> None:
        if number == 10:
            os.utime(sender.path, ns=(0, 1))

    sender.gateway.part_answers = answer
    with pytest.raises(CliError, match="changed while it was sent"):
        sender.send()
    assert sender.gateway.stored == {}
    assert sender.gateway.uploads == {}
    sender.gateway.part_answers = lambda _, _number: None
    key = sender.send()
    assert sender.gateway.stored == {key: sender.path.read_bytes()}


def test_a_part_that_the_store_has_lost_is_sent_again_before_the_end(sender: Sender) -> None:
    def answer(sent: FakeUpload, number: int) -> None:
        if number == 10 and sent.sent[10] == 1:
            sent.parts.pop(4)

    sender.gateway.part_answers = answer
    key = sender.send()
    assert sender.gateway.uploads[key].sent[4] == 2
    assert sender.gateway.stored[key] == sender.path.read_bytes()


def test_an_upload_that_the_server_has_removed_begins_anew(sender: Sender) -> None:
    sender.broken_off(after=3)
    sender.gateway.uploads.clear()
    key = sender.send()
    assert sender.gateway.stored == {key: sender.path.read_bytes()}
    assert "Going on" not in sender.said


def test_a_complete_file_that_was_never_used_is_not_sent_again(sender: Sender) -> None:
    used: list[tuple[str, str]] = []

    def lose(file: upload.Sent) -> None:
        used.append((file.key, file.request_id("client", 5)))
        raise CliError("It does not answer.", ExitCode.UNREACHABLE)

    with pytest.raises(CliError):
        sender.send(use=lose)
    sender.gateway.uploads[used[0][0]].sent.clear()
    sender.send(use=lambda file: used.append((file.key, file.request_id("client", 5))))
    assert used[0] == used[1], "the same order on the same upload is the same request"
    assert not sender.gateway.uploads[used[0][0]].sent
    sender.send(use=lambda file: used.append((file.key, file.request_id("client", 5))))
    assert used[2][0] != used[0][0], "what was used is forgotten"
    assert used[2][1] != used[0][1]


def test_a_complete_file_that_the_server_has_removed_is_sent_again(sender: Sender) -> None:
    def lose(_: upload.Sent) -> None:
        raise CliError("It does not answer.", ExitCode.UNREACHABLE)

    with pytest.raises(CliError):
        sender.send(use=lose)
    sender.gateway.stored.clear()
    key = sender.send()
    assert sender.gateway.stored == {key: sender.path.read_bytes()}


def test_an_upload_that_the_server_will_not_import_is_forgotten(sender: Sender) -> None:
    def refuse(_: upload.Sent) -> None:
        raise CliError("Too long ago.", status=409)

    with pytest.raises(CliError):
        sender.send(use=refuse)
    sender.send()
    assert len(sender.gateway.uploads) == 2


def test_each_server_and_tenant_has_an_upload_of_its_own(sender: Sender) -> None:
    sender.broken_off(after=3)
    sender.gateway.tenant = "cother"
    sender.send()
    assert len(sender.gateway.uploads) == 2


def test_two_commands_at_once_do_not_share_an_upload(sender: Sender) -> None:
    keys: list[str] = []
    sender.send(use=lambda file: keys.extend((file.key, sender.send())))
    assert len(set(keys)) == 2
    assert all(sender.gateway.stored[key] == sender.path.read_bytes() for key in keys)


def test_a_torn_memory_is_no_memory(sender: Sender) -> None:
    sender.broken_off(after=3)
    [kept] = (sender.terminal.home / "uploads").glob("*.json")
    kept.write_text('{"key": "p1')
    sender.send()
    assert len(sender.gateway.uploads) == 2


def test_without_a_home_that_can_be_written_the_file_is_sent_all_the_same(sender: Sender, tmp_path: Path) -> None:
    sender.terminal.home = tmp_path / "file"
    sender.terminal.home.write_text("")
    key = sender.send()
    assert sender.gateway.stored[key] == sender.path.read_bytes()


def test_an_interrupted_command_says_how_to_go_on(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sending.PartSender, "send", interrupt)
    with pytest.raises(CliError) as failure:
        sender.send()
    assert failure.value.exit_code is ExitCode.INTERRUPTED
    assert "nothing is imported" in failure.value.message
    assert upload.GOES_ON in failure.value.message


def test_the_server_refuses_a_file_that_is_too_large_before_it_is_sent(sender: Sender) -> None:
    sender.gateway.failures = iter([None, refused(400, "A file may have 1 byte at most.")])
    with pytest.raises(CliError, match="1 byte at most"):
        sender.send()
    assert sender.gateway.asked("PUT", ".*") == []


def test_hythe_upload_prints_the_key(terminal: Terminal, scan: Path) -> None:
    assert terminal.run("upload", scan).stdout == "c1/a.nessus\n"
    assert terminal.run("upload", scan, "--json").json == {"key": "c1/a.nessus"}


def test_a_large_file_is_imported_in_parts(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "large.nessus"
    path.write_bytes(b"x" * (5 * upload.MIB + 1))
    order = ["import", path, "--source", "nessus", "--client", "1", "--report", "5", "--part-size", "5", "--no-wait"]
    terminal.settings = {"api_key": SecretStr("hy_key")}
    assert terminal.run(*order).exit_code == 0
    [(key, sent)] = terminal.gateway.uploads.items()
    assert (sent.part_size, sent.count) == (5 * upload.MIB, 2)
    [body] = terminal.gateway.asked("POST", ".*preuploaded-import.*")
    assert body["key"] == key
    assert terminal.run(*order[:-3], "--part-size", "4").exit_code == 2
