"""Outbound HTTP over real connections: whom it speaks to, as whom, and what it makes of bad answers."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.local.ports import free_ports
from runtime.destinations import Destinations
from runtime.outbound import Answer, NotAnswered, Outbound
from tests.receiver import GARBAGE, HANG, RESET, Receiver, Reply, receiving

NAME = "receiver.example"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    made = Outbound(Destinations("private", resolve=here), allow_http=True, timeout_seconds=0.5)
    yield made
    await made.close()


def here(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


async def test_the_connection_goes_to_the_checked_address_under_the_name_of_the_url(
    receiver: Receiver, outbound: Outbound
) -> None:
    answer = await outbound.post(receiver.url("/a?b=c", NAME), b'{"a": 1}', {"x-one": "1"})
    assert answer == Answer(200, None)
    (request,) = receiver.received
    assert (request.path, request.body) == ("/a?b=c", b'{"a": 1}')
    assert request.headers["host"] == f"{NAME}:{receiver.port}"
    assert request.headers["x-one"] == "1"


async def test_a_second_answer_of_the_name_server_changes_nothing(receiver: Receiver) -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])

    def rebinding(_host: str, _port: int) -> list[str]:
        return next(answers)

    outbound = Outbound(Destinations("private", resolve=rebinding), allow_http=True)
    try:
        await outbound.post(receiver.url(host=NAME), b"{}", {})
        assert len(receiver.received) == 1
        with pytest.raises(NotAnswered, match="not public"):
            await outbound.post(receiver.url(host=NAME), b"{}", {})
    finally:
        await outbound.close()
    assert len(receiver.received) == 1


async def test_nothing_reaches_this_machine_where_that_is_not_allowed(receiver: Receiver) -> None:
    outbound = Outbound(Destinations(resolve=here), allow_http=True)
    try:
        for url in (receiver.url(), receiver.url(host=NAME), receiver.url(host="[::ffff:127.0.0.1]")):
            with pytest.raises(NotAnswered, match="not public"):
                await outbound.post(url, b"{}", {})
    finally:
        await outbound.close()
    assert receiver.received == []


async def test_the_proxy_of_the_environment_is_not_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(""))
        outbound = Outbound(Destinations("private"), allow_http=True)
        try:
            await outbound.post(receiver.url(), b"{}", {})
        finally:
            await outbound.close()
        assert (len(receiver.received), len(proxy.received)) == (1, 0)


async def test_the_next_address_is_tried_where_one_takes_no_connection(receiver: Receiver) -> None:
    def two(_host: str, _port: int) -> list[str]:
        return ["::1", "127.0.0.1"]

    outbound = Outbound(Destinations("private", resolve=two), allow_http=True)
    try:
        assert (await outbound.post(receiver.url(host=NAME), b"{}", {})).status == 200
    finally:
        await outbound.close()


@pytest.mark.parametrize("status", [200, 204, 400, 404, 410, 429, 500, 503])
async def test_a_status_is_an_answer_whatever_it_is(receiver: Receiver, outbound: Outbound, status: int) -> None:
    receiver.answer = lambda _: status
    receiver.reply_headers = {"retry-after": "7"}
    assert await outbound.post(receiver.url(), b"{}", {}) == Answer(status, 7)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(receiver: Receiver, outbound: Outbound, status: int) -> None:
    receiver.answer = lambda _: status
    receiver.reply_headers = {"location": receiver.url("/elsewhere")}
    assert (await outbound.post(receiver.url(), b"{}", {})).status == status
    assert [request.path for request in receiver.received] == ["/hook"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (RESET, "connection broke|no HTTP, or was cut off"),
        (HANG, "No answer within 0.5 s"),
        (GARBAGE, "no HTTP"),
    ],
)
async def test_no_answer_is_told_in_words_for_the_user(
    receiver: Receiver, outbound: Outbound, reply: Reply, words: str
) -> None:
    receiver.answer = lambda _: reply
    with pytest.raises(NotAnswered, match=words):
        await outbound.post(receiver.url(), b"{}", {})


async def test_a_closed_port_is_a_refusal(outbound: Outbound) -> None:
    port = free_ports().upload
    with pytest.raises(NotAnswered, match="refused"):
        await outbound.post(f"http://127.0.0.1:{port}/", b"{}", {})


# TLS


def certificate_for(name: str, folder: Path) -> Path:
    """A certificate that signs itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return certificate_for(NAME, tmp_path)


@pytest.fixture
def secure(certificate: Path) -> Iterator[Receiver]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    with receiving(server) as made:
        yield made


async def test_the_certificate_must_be_that_of_the_name_and_the_name_is_asked_for(
    secure: Receiver, certificate: Path
) -> None:
    outbound = Outbound(Destinations("private", resolve=here), tls=ssl.create_default_context(cafile=str(certificate)))
    try:
        assert (await outbound.post(secure.url(host=NAME, scheme="https"), b"{}", {})).status == 200
        assert secure.server_names == [NAME]
        with pytest.raises(NotAnswered, match="certificate is not good"):
            await outbound.post(secure.url(host="other.example", scheme="https"), b"{}", {})
    finally:
        await outbound.close()
    assert len(secure.received) == 1


async def test_a_certificate_of_nobody_we_trust_is_refused(secure: Receiver) -> None:
    outbound = Outbound(Destinations("private", resolve=here))
    try:
        with pytest.raises(NotAnswered, match="certificate is not good"):
            await outbound.post(secure.url(host=NAME, scheme="https"), b"{}", {})
    finally:
        await outbound.close()
    assert secure.received == []
