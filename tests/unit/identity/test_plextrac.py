from __future__ import annotations

from google.protobuf.json_format import MessageToDict

from services.identity.dialects.plextrac import extra_claims, token_reply, who_am_i
from services.identity.model import Tenant
from services.identity.tokens import Token
from tests.unit.identity.accounts import BORN, account


def test_a_login_answers_the_token_twice() -> None:
    reply = MessageToDict(token_reply(Token(token="a.b.c", expires_at=1, tenant_id=7)))
    assert reply == {"status": "success", "tenant_id": 7, "cookie": "a.b.c", "token": "a.b.c"}


def test_who_am_i_has_numbers_and_opaque_ids_of_user_and_tenant() -> None:
    tenant = Tenant(tenant_id=7, name="Seven", disabled=False, created_at=BORN)
    reply = MessageToDict(who_am_i(account().principal(frozenset({"b", "a"})), tenant))
    cuids = {"user_cuid": reply.pop("user_cuid"), "tenant_cuid": reply.pop("tenant_cuid")}
    assert reply == {
        "status": "success",
        "user_id": 1000,
        "tenant_id": 7,
        "tenant_name": "Seven",
        "email": "ada@example.com",
        "username": "ada@example.com",
        "role": "admin",
        "scopes": ["a", "b"],
    }
    assert cuids == {
        "user_cuid": extra_claims(account())["userCuid"],
        "tenant_cuid": extra_claims(account())["tenantCuid"],
    }
    assert cuids["user_cuid"] != cuids["tenant_cuid"]
