from __future__ import annotations

import base64
from dataclasses import replace
from uuid import UUID

import pytest

from runtime.auth import ApiKey, Authenticator, Basic, current_credential, current_principal
from runtime.context import Principal, Role
from runtime.errors import Unauthenticated, Unavailable
from tests.fakes.signing import ADMIN, FakeKeySource, make_ec_key

KEY = make_ec_key("one")
OWNER = Principal(tenant_id=9, user_id=2000, email="robot@example.com", role=Role.IMPORTER)


class FakeResolver:
    def __init__(self) -> None:
        self.known: dict[ApiKey | Basic, Principal] = {ApiKey("hy_good"): OWNER, Basic("bob@x.org", "hy:good"): OWNER}
        self.asked: list[ApiKey | Basic] = []
        self.is_down = False

    async def resolve(self, credential: ApiKey | Basic) -> Principal:
        self.asked.append(credential)
        if self.is_down:
            raise Unavailable("IDENTITY_UNAVAILABLE", "down")
        try:
            return self.known[credential]
        except KeyError:
            raise Unauthenticated("INVALID_CREDENTIAL", "no") from None


@pytest.fixture
def resolver() -> FakeResolver:
    return FakeResolver()


@pytest.fixture
def authenticator(resolver: FakeResolver) -> Authenticator:
    return Authenticator(FakeKeySource(KEY), resolver)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer {}", "BEARER   {}", " Bearer {} "])
async def test_a_token_comes_bare_or_as_bearer(authenticator: Authenticator, form: str) -> None:
    found = await authenticator.authenticate({"authorization": form.format(KEY.sign())})
    assert found.principal == ADMIN
    again = await authenticator.authenticate({"authorization": found.credential})
    assert again.principal == ADMIN


@pytest.mark.parametrize(
    "metadata",
    [
        {"x-api-key": "hy_good"},
        {"authorization": "Bearer hy_good"},
        {"authorization": "hy_good"},
        {"authorization": basic("bob@x.org:hy:good")},
        {"authorization": basic("bob@x.org:hy:good").replace("Basic", "basic")},
    ],
)
async def test_an_opaque_credential_is_resolved_once_and_can_be_handed_on(
    authenticator: Authenticator, resolver: FakeResolver, metadata: dict[str, str]
) -> None:
    found = await authenticator.authenticate(metadata)
    assert found.principal == OWNER
    await authenticator.authenticate(metadata)
    assert len(resolver.asked) == 1
    handed_on = await authenticator.authenticate({"authorization": found.credential})
    assert handed_on.principal == OWNER


@pytest.mark.parametrize("metadata", [{}, {"authorization": ""}, {"authorization": "  "}, {"x-api-key": " "}])
async def test_no_credential_has_a_reason_of_its_own(authenticator: Authenticator, metadata: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        await authenticator.authenticate(metadata)
    assert refusal.value.reason == "NO_CREDENTIAL"


@pytest.mark.parametrize(
    "metadata",
    [
        {"authorization": "Bearer hy_bad"},
        {"authorization": "Bearer "},
        {"authorization": "Digest abc"},
        {"authorization": "Basic ???"},
        {"authorization": basic("no-colon")},
        {"authorization": basic(":no-name")},
        {"authorization": basic("no-secret:")},
        {"authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()},
        {"authorization": "x" * 9_000},
        {"x-api-key": "hy_bad"},
    ],
)
async def test_a_bad_credential_is_refused(authenticator: Authenticator, metadata: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        await authenticator.authenticate(metadata)
    assert refusal.value.reason == "INVALID_CREDENTIAL"


async def test_the_header_authorization_goes_before_the_api_key(authenticator: Authenticator) -> None:
    found = await authenticator.authenticate({"authorization": KEY.sign(), "x-api-key": "hy_good"})
    assert found.principal == ADMIN


async def test_a_refusal_is_not_remembered(authenticator: Authenticator, resolver: FakeResolver) -> None:
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate({"x-api-key": "hy_new"})
    resolver.known[ApiKey("hy_new")] = OWNER
    assert (await authenticator.authenticate({"x-api-key": "hy_new"})).principal == OWNER


async def test_a_container_token_is_asked_for_each_time_so_that_the_next_one_ends_it_at_once(
    authenticator: Authenticator, resolver: FakeResolver
) -> None:
    token = ApiKey("hyct_first")
    resolver.known[token] = replace(OWNER, import_source_id=UUID(int=1), workspace_id=UUID(int=2))
    found = await authenticator.authenticate({"authorization": "Bearer hyct_first"})
    assert found.principal.import_source_id == UUID(int=1)
    del resolver.known[token]
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate({"authorization": "Bearer hyct_first"})


async def test_a_remembered_answer_outlives_an_outage_and_an_unknown_key_does_not(
    authenticator: Authenticator, resolver: FakeResolver
) -> None:
    await authenticator.authenticate({"x-api-key": "hy_good"})
    resolver.is_down = True
    assert (await authenticator.authenticate({"x-api-key": "hy_good"})).principal == OWNER
    with pytest.raises(Unavailable):
        await authenticator.authenticate({"x-api-key": "hy_other"})


async def test_the_cache_holds_no_key(authenticator: Authenticator) -> None:
    await authenticator.authenticate({"x-api-key": "hy_good"})
    assert "hy_good" not in repr(authenticator._resolved)


def test_outside_a_call_there_is_nobody() -> None:
    with pytest.raises(Unauthenticated):
        current_principal()
    assert current_credential() == ""


@pytest.mark.parametrize(
    ("client_ids", "answer"),
    [(None, True), (frozenset({1, 5}), True), (frozenset({2}), False), (frozenset[int](), False)],
)
def test_grants_are_by_client(client_ids: frozenset[int] | None, answer: bool) -> None:
    principal = Principal(1, 2, "a@b.c", Role.VIEWER, client_ids=client_ids)
    assert principal.may_see_client(5) is answer


def test_a_container_token_reaches_one_source_in_one_workspace() -> None:
    anybody = Principal(1, 2, "a@b.c", Role.IMPORTER)
    assert anybody.may_reach_source(UUID(int=1))
    assert anybody.may_reach_workspace(UUID(int=1))
    holder = replace(anybody, import_source_id=UUID(int=1), workspace_id=UUID(int=2))
    assert [holder.may_reach_source(UUID(int=number)) for number in (1, 2)] == [True, False]
    assert [holder.may_reach_workspace(UUID(int=number)) for number in (1, 2)] == [False, True]
