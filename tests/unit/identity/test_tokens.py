from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from runtime.errors import InvalidArgument
from runtime.tokens import read_claims
from services.identity.dialects.plextrac import extra_claims
from services.identity.tokens import TokenIssuer, generation_of
from tests.fakes.signing import make_ec_key
from tests.unit.identity.accounts import account

NOW = 1_800_000_000.75


class Recorder:
    """A signer that shows what it was given."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}

    def sign(self, claims: Mapping[str, Any]) -> str:
        self.claims = dict(claims)
        return "a.b.c"


@pytest.fixture
def signer() -> Recorder:
    return Recorder()


@pytest.fixture
def issuer(signer: Recorder) -> TokenIssuer:
    return TokenIssuer(
        signer, issuer="us", audience="them", life_seconds=900, claims_of=extra_claims, clock=lambda: NOW
    )


def test_a_token_says_who_for_whom_and_how_long(issuer: TokenIssuer, signer: Recorder) -> None:
    token = issuer.issue(account())
    assert (token.token, token.tenant_id, token.expires_at) == ("a.b.c", 7, 1_800_000_900)
    assert (signer.claims["iss"], signer.claims["aud"]) == ("us", "them")
    assert (signer.claims["iat"], signer.claims["exp"]) == (1_800_000_000, 1_800_000_900)
    assert read_claims(signer.claims) == account().principal()


def test_a_token_has_what_plextrac_clients_read_in_theirs(issuer: TokenIssuer, signer: Recorder) -> None:
    issuer.issue(account())
    assert signer.claims["email"] == "ada@example.com"
    assert signer.claims["tenantCuid"].startswith("c")
    assert len(signer.claims["tenantCuid"]) == 25


def test_a_token_is_of_its_account_s_generation(issuer: TokenIssuer, signer: Recorder) -> None:
    before = account()
    after = account(tokens_valid_after=before.tokens_valid_after + timedelta(microseconds=1))
    issuer.issue(before)
    generation = signer.claims["gen"]
    issuer.issue(after)
    assert signer.claims["gen"] == generation + 1


@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer  "])
def test_the_generation_is_read_with_and_without_a_scheme(prefix: str) -> None:
    token = make_ec_key("k").sign(gen=42)
    assert generation_of(prefix + token) == 42


def test_a_token_without_a_generation_is_of_none() -> None:
    assert generation_of(make_ec_key("k").sign()) == -1
    assert generation_of(make_ec_key("k").sign(gen="42")) == -1


@pytest.mark.parametrize("credential", ["", "Bearer hy_12345678_abc", "Basic dTpwOnE="])
def test_an_api_key_is_not_renewed(credential: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        generation_of(credential)
    assert refused.value.reason == "TOKEN_REQUIRED"
