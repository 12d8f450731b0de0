"""Who may no longer come in.

Services remember whom an API key belongs to for up to a minute; a test that must not wait asks one that has not seen
the key yet.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import psycopg
import pytest

from hythe.identity.v1 import identity_pb2 as identity
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub
from hythe.importer.v1 import importer_pb2 as importer
from hythe.importer.v1.importer_pb2_grpc import ImportServiceStub
from hythe.status.v1 import status_pb2 as status
from hythe.status.v1.status_pb2_grpc import StatusServiceStub
from tests.e2e.matrix_world import ADMIN, IMPORTER, Founder, Person, Tenant
from tests.stack import LOGINS_A_MINUTE, LiveStack

SECONDS = 30


@dataclass
class House:
    """A tenant with one more person, and the services as they are reached natively through the gateway."""

    founder: Founder
    tenant: Tenant
    person: Person
    channel: grpc.Channel
    http: httpx.Client

    @property
    def admin(self) -> Person:
        return self.tenant.people["admin"]

    def administer(self, method: str, request: Any, caller: Person | None = None) -> Any:
        return self._call(getattr(IdentityServiceStub(self.channel), method), request, (caller or self.admin).by_token)

    def use_at_status(self, credential: dict[str, str]) -> Any:
        return self._call(StatusServiceStub(self.channel).ListClients, status.ListClientsRequest(), credential)

    def use_at_importer(self, credential: dict[str, str]) -> Any:
        return self._call(ImportServiceStub(self.channel).ListSources, importer.ListSourcesRequest(), credential)

    def refresh(self, person: Person) -> Any:
        request = identity.RefreshTokenRequest()
        return self._call(IdentityServiceStub(self.channel).RefreshToken, request, person.by_token)

    def _call(self, stub: Any, request: Any, credential: dict[str, str]) -> Any:
        return stub(request, timeout=SECONDS, metadata=tuple(credential.items()))


@pytest.fixture
def house(stack: LiveStack) -> Iterator[House]:
    founder = Founder(stack)
    tenant = founder.tenant(f"cedar{secrets.token_hex(4)}")
    with grpc.insecure_channel(stack.grpc) as channel, httpx.Client(base_url=stack.url, timeout=SECONDS) as http:
        yield House(founder, tenant, founder.person(tenant, "person", IMPORTER), channel, http)
    founder.close()


def refused(call: Any, *arguments: Any, code: grpc.StatusCode = grpc.StatusCode.UNAUTHENTICATED) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        call(*arguments)
    assert refusal.value.code() == code, refusal.value


def test_a_disabled_key_is_refused_and_works_again_when_it_is_enabled(house: House) -> None:
    person = house.person
    house.use_at_status(person.by_key)
    house.administer("SetApiKeyDisabled", identity.SetApiKeyDisabledRequest(api_key_id=person.key_id, disabled=True))
    refused(house.use_at_importer, person.by_key)
    assert house.http.get("/api/v2/whoami", headers=person.by_key).status_code == 401
    # The person may still come in by other means.
    house.use_at_importer(person.by_token)
    house.administer("SetApiKeyDisabled", identity.SetApiKeyDisabledRequest(api_key_id=person.key_id, disabled=False))
    house.use_at_importer(person.by_key)


def test_of_a_rotated_key_the_old_secret_lives_as_long_as_its_grace(house: House) -> None:
    old = dict(house.person.by_key)
    request = identity.RotateApiKeyRequest(api_key_id=house.person.key_id, grace_seconds=600)
    house.use_at_status({"x-api-key": house.administer("RotateApiKey", request).secret})
    house.use_at_status(old)
    request = identity.RotateApiKeyRequest(api_key_id=house.person.key_id, grace_seconds=0)
    newest = house.administer("RotateApiKey", request).secret
    refused(house.use_at_importer, old)
    house.use_at_importer({"x-api-key": newest})


def test_nothing_of_a_disabled_user_lets_anybody_in(house: House) -> None:
    person = house.person
    house.use_at_status(person.by_key)
    house.administer("SetUserDisabled", identity.SetUserDisabledRequest(user_id=person.user_id, disabled=True))
    refused(house.use_at_importer, person.by_key)
    refused(house.refresh, person)
    refused(house.founder.login, person)
    house.administer("SetUserDisabled", identity.SetUserDisabledRequest(user_id=person.user_id, disabled=False))
    house.use_at_importer(person.by_key)
    # A token of before stays what it was: no exchange, whoever stole it.
    refused(house.refresh, person)
    house.founder.login(person)


def test_nobody_of_a_disabled_tenant_comes_in(house: House) -> None:
    operator = house.founder.operator
    request = identity.SetTenantDisabledRequest(tenant_id=house.tenant.tenant_id, disabled=True)
    house.administer("SetTenantDisabled", request, operator)
    for person in (house.person, house.admin):
        refused(house.use_at_importer, person.by_key)
        refused(house.refresh, person)
        refused(house.founder.login, person)
    refused(house.administer, "ListUsers", identity.ListUsersRequest())
    house.administer("SetTenantDisabled", identity.SetTenantDisabledRequest(tenant_id=house.tenant.tenant_id), operator)
    house.use_at_importer(house.person.by_key)


def test_who_is_no_administrator_any_more_administers_nothing_with_an_old_token(house: House) -> None:
    second = house.founder.person(house.tenant, "second", ADMIN)
    house.administer("ListUsers", identity.ListUsersRequest(), second)
    house.administer("SetUserRole", identity.SetUserRoleRequest(user_id=second.user_id, role=IMPORTER))
    refused(house.administer, "ListUsers", identity.ListUsersRequest(), second, code=grpc.StatusCode.PERMISSION_DENIED)


def test_an_administrator_does_not_get_at_the_operator(house: House) -> None:
    """A key or a password of the operator would be the installation."""
    operator_id = house.administer("WhoAmI", identity.WhoAmIRequest(), house.founder.operator).principal.user_id
    for method, request in (
        ("CreateApiKey", identity.CreateApiKeyRequest(user_id=operator_id, name="mine")),
        ("RotatePassword", identity.RotatePasswordRequest(user_id=operator_id)),
        ("SetUserRole", identity.SetUserRoleRequest(user_id=operator_id, role=IMPORTER)),
    ):
        refused(house.administer, method, request, code=grpc.StatusCode.NOT_FOUND)


def test_the_eleventh_login_of_a_minute_is_refused_good_or_bad(house: House, stack: LiveStack) -> None:
    person, other = house.founder.person(house.tenant, "busy", IMPORTER), house.admin
    # Making the person has logged in once.
    for _ in range(LOGINS_A_MINUTE - 1):
        refused(house.founder.login, Person(person.email, password="wrong"))
    answer = house.http.post("/api/v1/authenticate", json={"username": person.email, "password": person.password})
    assert answer.status_code == 429, answer.text
    assert answer.json()["error"] == "Too Many Requests"
    refused(house.founder.login, person, code=grpc.StatusCode.RESOURCE_EXHAUSTED)
    # It is that user who must wait, and nobody else.
    house.founder.login(other)
    with psycopg.connect(stack.database.superuser_url) as connection:
        query = "SELECT count(*) FROM audit_log WHERE request_id = %s AND reason = 'LOGIN_LIMIT'"
        assert connection.execute(query, [answer.headers["x-request-id"]]).fetchone() == (1,)
