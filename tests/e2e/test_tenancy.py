from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import pytest
from google.protobuf.message import Message

from hythe.options.v1 import options_pb2
from tests.e2e.matrix import HTTP_STATUS, UNROUTED, Answer, Doors, Rpc, always, rpcs
from tests.e2e.matrix_credentials import bad_credentials, good_credentials
from tests.e2e.matrix_requests import ENTRIES, Owner
from tests.e2e.matrix_strangers import CLIENT_IDS, SELECTIONS, TENANT_IDS, nowhere, stranger_requests
from tests.e2e.matrix_world import Person, Place, World, found
from tests.stack import LiveStack

OPERATOR = "operator"
LEAST = {
    options_pb2.ROLE_VIEWER: "viewer",
    options_pb2.ROLE_IMPORTER: "importer",
    options_pb2.ROLE_ADMIN: "admin",
}
LOWER = {
    "viewer": (),
    "importer": ("viewer",),
    "admin": ("viewer", "importer"),
    OPERATOR: ("viewer", "importer", "admin"),
}
FORGED = {
    "x-dialect": "plextrac",
    "x-hythe-tenant": "{tenant_id}",
    "x-tenant-id": "{tenant_id}",
    "x-tenant": "{tenant_id}",
    "x-user-id": "{user_id}",
    "x-user": "{email}",
    "x-role": "admin",
    "x-scopes": "*",
    "x-principal": "{email}",
    "x-forwarded-user": "{email}",
    "x-forwarded-email": "{email}",
    "x-auth-user": "{email}",
    "x-jwt-payload": "eyJ0ZW5hbnRfaWQiOjF9",
    "tenant-id": "{tenant_id}",
    "cookie": "token={token}",
}

CLOSED = [rpc for rpc in rpcs() if not rpc.rule.anonymous]
OPEN = [rpc for rpc in rpcs() if rpc.rule.anonymous]
OF_TENANTS = [rpc for rpc in CLOSED if not rpc.rule.operator]
OF_CLIENTS = [rpc for rpc in OF_TENANTS if rpc.short_name in ENTRIES and ENTRIES[rpc.short_name].owner is Owner.CLIENT]
for_each = pytest.mark.parametrize


def named(rpc: Rpc) -> str:
    return rpc.short_name


def role_of(rpc: Rpc) -> str:
    return OPERATOR if rpc.rule.operator else LEAST[rpc.rule.role]


def import_field(rpc: Rpc) -> str:
    """The field that names one import; empty when there is none."""
    fields = rpc.descriptor.input_type.fields_by_name
    return "" if is_of_objects(rpc) else next((name for name in ("import_id", "id") if name in fields), "")


def is_of_objects(rpc: Rpc) -> bool:
    """What is in a workspace of the Assets API is everybody's there, executions too."""
    return (
        rpc.service == "hythe.dialects.assets.v1.AssetsStatus" or rpc.descriptor.input_type.name == "ObjectBodyRequest"
    )


@pytest.fixture(scope="module")
def world(stack: LiveStack) -> Iterator[World]:
    yield from found(stack)


@pytest.fixture(scope="module")
def doors(stack: LiveStack) -> Iterator[Doors]:
    opened = Doors(stack)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def bad(stack: LiveStack, world: World) -> Mapping[str, dict[str, str]]:
    return bad_credentials(stack, world.operator)


@pytest.fixture
def audited(stack: LiveStack) -> Iterator[list[tuple[Answer, int]]]:
    """Answers, each with the tenant of its caller (0: nobody), that the audit log must know when the test is over."""
    answers: list[tuple[Answer, int]] = []
    yield answers
    wanted: set[tuple[object, ...]] = {
        (answer.request_id, *answer.rpc.name.split("/"), answer.status in {"OK", "200"}, tenant_id)
        for answer, tenant_id in answers
    }
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        deadline = time.monotonic() + 30
        while wanted - (kept := audit_rows(connection, [answer.request_id for answer, _ in answers])):
            assert time.monotonic() < deadline, wanted - kept
            time.sleep(0.05)


def audit_rows(connection: psycopg.Connection[Any], request_ids: list[str]) -> set[tuple[object, ...]]:
    return set(
        connection.execute(
            "SELECT request_id, service, method, outcome = 'OK', tenant_id FROM audit_log WHERE request_id = ANY(%s)",
            [request_ids],
        )
    )


def person_for(world: World, role: str) -> Person:
    return world.operator if role == OPERATOR else world.a.people[role]


def is_answered(answer: Answer, status: str) -> bool:
    is_rest = answer.status.isdecimal()
    return answer.status == (HTTP_STATUS[status] if is_rest else status) and (answer.is_json or not is_rest)


def expect(answers: list[Answer], status: str) -> list[Answer]:
    """The answers, all of which must say this; errors by REST in the API's own words."""
    assert [str(answer) for answer in answers if not is_answered(answer, status)] == []
    return answers


def test_every_rpc_has_a_right_request_here_and_a_rule_in_its_proto() -> None:
    assert {rpc.short_name for rpc in rpcs()} == set(ENTRIES)
    assert [rpc.name for rpc in rpcs() if not rpc.rule.anonymous and not rpc.rule.role] == []
    assert [rpc.name for rpc in rpcs() if not rpc.is_native and not rpc.routes] == []


@for_each("rpc", OF_TENANTS, ids=named)
def test_a_request_with_ids_is_known_as_one(rpc: Rpc, world: World) -> None:
    """Otherwise nobody would try it with another's."""
    entry = ENTRIES[rpc.short_name]
    names = {field.name for field, _ in entry.build(world.one).ListFields()}
    assert not names & (CLIENT_IDS - {"id"} if is_of_objects(rpc) else CLIENT_IDS) or entry.owner is Owner.CLIENT
    assert not names & TENANT_IDS or entry.owner is not Owner.NOBODY


@for_each("rpc", CLOSED, ids=named)
def test_nobody_without_a_good_credential_is_served(
    rpc: Rpc, world: World, doors: Doors, bad: Mapping[str, dict[str, str]], audited: list[tuple[Answer, int]]
) -> None:
    request = ENTRIES[rpc.short_name].build(world.one)
    with ThreadPoolExecutor(4) as pool:
        for answers in pool.map(partial(doors.through_all, rpc, always(request)), bad.values()):
            expect(answers, "UNAUTHENTICATED")
            assert [str(answer) for answer in answers if world.a.mark.encode() in answer.content] == []
            audited += [(answer, 0) for answer in answers]


@for_each("rpc", [rpc for rpc in CLOSED if LOWER[role_of(rpc)]], ids=named)
def test_a_lower_role_is_refused(rpc: Rpc, world: World, doors: Doors, audited: list[tuple[Answer, int]]) -> None:
    request = ENTRIES[rpc.short_name].build(world.one)
    for role in LOWER[role_of(rpc)]:
        person = world.a.people[role]
        forged = forged_headers(world.operator)
        for headers in (person.by_token, person.by_key, {**forged, **person.by_token}):
            answers = expect(doors.through_all(rpc, always(request), headers), "PERMISSION_DENIED")
            audited += [(answer, person.tenant_id) for answer in answers]


@for_each("rpc", CLOSED, ids=named)
def test_whoever_may_is_served(rpc: Rpc, world: World, doors: Doors, audited: list[tuple[Answer, int]]) -> None:
    entry, person = ENTRIES[rpc.short_name], person_for(world, role_of(rpc))
    credentials = good_credentials(person)
    if rpc.rule.audited:
        # One of each sort will do where every call leaves something behind.
        credentials = {kind: credentials[kind] for kind in ("bare token", "API key")}
    for kind, headers in credentials.items():
        says = "INVALID_ARGUMENT" if entry.only_by_token and "token" not in kind else entry.says
        answers = expect(doors.through_all(rpc, partial(entry.build, world.one), headers), says)
        if entry.shows:
            assert [str(answer) for answer in answers if world.a.mark.encode() not in answer.content] == []
        if rpc.rule.audited:
            audited += [(answer, person.tenant_id) for answer in answers]


@for_each("rpc", OPEN, ids=named)
def test_what_is_open_to_all_needs_no_credential_and_looks_at_none(rpc: Rpc, world: World, doors: Doors) -> None:
    for headers in ({}, {"authorization": "Bearer abc.def.ghi"}):
        expect(doors.through_all(rpc, partial(ENTRIES[rpc.short_name].build, world.one), headers), "OK")


@for_each("rpc", OF_TENANTS, ids=named)
def test_nothing_of_another_tenant_is_there(
    rpc: Rpc, world: World, doors: Doors, audited: list[tuple[Answer, int]]
) -> None:
    caller = world.b.people["admin"]
    answers = look_around(rpc, doors, caller, world.other, world.one, CLIENT_IDS | TENANT_IDS)
    assert [str(answer) for answer in answers if world.a.mark.encode() in answer.content] == []
    if rpc.rule.audited:
        audited += [(answer, caller.tenant_id) for answer in answers]


@for_each("rpc", OF_TENANTS, ids=named)
def test_nothing_of_a_client_that_is_not_granted_is_there(rpc: Rpc, world: World, doors: Doors) -> None:
    caller = world.a.people["granted-admin" if role_of(rpc) == "admin" else "granted"]
    answers = look_around(rpc, doors, caller, world.one, world.two, CLIENT_IDS)
    assert [str(answer) for answer in answers if world.two.mark.encode() in answer.content] == []


@for_each("rpc", [rpc for rpc in OF_CLIENTS if role_of(rpc) != "admin"], ids=named)
def test_a_grant_of_another_tenants_client_opens_nothing(rpc: Rpc, world: World, doors: Doors) -> None:
    caller = world.b.people["stray"]
    answers = doors.through_all(rpc, partial(ENTRIES[rpc.short_name].build, world.one), caller.by_token)
    expect(answers, "NOT_FOUND")


@for_each("rpc", [rpc for rpc in OF_TENANTS if not rpc.rule.audited], ids=named)
def test_headers_of_the_clients_own_change_nothing(rpc: Rpc, world: World, doors: Doors) -> None:
    entry, caller = ENTRIES[rpc.short_name], world.b.people["admin"]
    headers = {**forged_headers(world.a.people["admin"]), **caller.by_token}
    answers = expect(doors.through_all(rpc, partial(entry.build, world.other), headers), entry.says)
    for answer in answers:
        assert world.a.mark.encode() not in answer.content, answer
        assert not entry.shows or world.b.mark.encode() in answer.content, answer


@for_each(("name", "request_of"), SELECTIONS.items(), ids=SELECTIONS)
def test_a_filter_or_a_page_token_from_elsewhere_selects_nothing(
    name: str, request_of: Callable[[Place, Place], Message], world: World, doors: Doors
) -> None:
    (rpc,) = (rpc for rpc in rpcs() if rpc.short_name == name)
    admin, granted = world.b.people["admin"], world.a.people["granted-admin"]
    for caller, own, foreign in ((admin, world.other, world.one), (granted, world.one, world.two)):
        answers = expect(doors.through_all(rpc, partial(request_of, own, foreign), caller.by_token), "OK")
        assert [str(answer) for answer in answers if foreign.mark.encode() in answer.content] == []


@for_each("rpc", [rpc for rpc in OF_TENANTS if import_field(rpc) and role_of(rpc) != "admin"], ids=named)
def test_of_ones_own_tenant_an_importer_sees_only_the_imports_they_triggered(
    rpc: Rpc, world: World, doors: Doors
) -> None:
    entry = ENTRIES[rpc.short_name]
    request = entry.build(world.one)
    setattr(request, import_field(rpc), world.one.imports["viewer"])
    expect(doors.through_all(rpc, always(request), world.a.people["importer"].by_token), "NOT_FOUND")
    expect(doors.through_all(rpc, always(request), world.a.people["admin"].by_token), entry.says)


def look_around(rpc: Rpc, doors: Doors, caller: Person, own: Place, foreign: Place, names: set[str]) -> list[Answer]:
    """All answers to a caller who asks for what is not theirs; each of them must say that it does not exist.

    Where the request has no ids of that kind, the answer is about what is theirs; it is for the test to look into it.
    """
    entry = ENTRIES[rpc.short_name]
    has_ids = entry.owner is Owner.CLIENT or (entry.owner is Owner.TENANT and names >= TENANT_IDS)
    if not has_ids:
        says = entry.says_granted if own.tenant is foreign.tenant else entry.says
        answers = expect(doors.through_all(rpc, partial(entry.build, own), caller.by_token), says)
        missing = [str(answer) for answer in answers if own.tenant.mark.encode() not in answer.content]
        assert not entry.shows or says != "OK" or missing == []
        return answers
    answers = []
    for name, request in stranger_requests(entry, own, foreign, names):
        found_here = doors.through_all(rpc, always(request), caller.by_token)
        answers += expect(found_here, "OK" if name in entry.empty_for else "NOT_FOUND")
        if name == "all":
            # Not even its existence is told.
            unknown = doors.directly(rpc, nowhere(request, CLIENT_IDS | TENANT_IDS), caller.by_token)
            assert (unknown.status, unknown.reason) == (found_here[-1].status, found_here[-1].reason)
    return answers


def forged_headers(person: Person) -> dict[str, str]:
    return {name: value.format(**vars(person)) for name, value in FORGED.items()}


@for_each("rpc", [rpc for rpc in rpcs() if not rpc.is_native or rpc.short_name in UNROUTED], ids=named)
def test_what_is_not_public_cannot_be_called_natively_through_the_gateway(rpc: Rpc, world: World, doors: Doors) -> None:
    headers = {**world.operator.by_token, "x-dialect": "plextrac", "x-envoy-original-path": "/api/v2/whoami"}
    answer = doors.by_gateway(rpc, ENTRIES[rpc.short_name].build(world.one), headers)
    assert answer.status == "UNIMPLEMENTED", answer
