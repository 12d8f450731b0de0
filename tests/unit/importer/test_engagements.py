from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import InvalidArgument, NotFound, PermissionDenied
from services.importer.engagements import Engagements
from services.importer.ports import Limits, NewClient, NewReport
from tests.fakes.imports import FakeEngagementStore
from tests.fakes.people import IMPORTER, LIMITED, STRANGER


@pytest.fixture
def store() -> FakeEngagementStore:
    return FakeEngagementStore()


@pytest.fixture
def engagements(store: FakeEngagementStore) -> Engagements:
    return Engagements(store, max_running_imports=4)


async def test_a_client_is_created_in_the_callers_tenant(store: FakeEngagementStore, engagements: Engagements) -> None:
    client_id = await engagements.create_client(IMPORTER, NewClient(" Karbo ", tags=("A b",)))
    assert store.clients == {(1, client_id): NewClient("Karbo", tags=("a_b",))}


async def test_who_is_granted_certain_clients_makes_no_other(engagements: Engagements) -> None:
    with pytest.raises(PermissionDenied):
        await engagements.create_client(LIMITED, NewClient("Karbo"))


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        ("name", "", "FIELD_REQUIRED"),
        ("name", "x" * 256, "FIELD_TOO_LONG"),
        ("name", "a\0b", "FIELD_NOT_TEXT"),
        ("description", "a\0b", "FIELD_NOT_TEXT"),
        ("poc_email", "x" * 256, "FIELD_TOO_LONG"),
    ],
)
async def test_a_client_that_cannot_be_stored_is_refused(
    store: FakeEngagementStore, engagements: Engagements, member: str, value: str, reason: str
) -> None:
    members: dict[str, Any] = {"name": "n", member: value}
    with pytest.raises(InvalidArgument) as refusal:
        await engagements.create_client(IMPORTER, NewClient(**members))
    assert (refusal.value.reason, refusal.value.metadata["field"]) == (reason, member)
    assert not store.clients


async def test_a_report_is_created_for_a_client_of_the_tenant(
    store: FakeEngagementStore, engagements: Engagements
) -> None:
    client_id = await engagements.create_client(IMPORTER, NewClient("Karbo"))
    report_id = await engagements.create_report(IMPORTER, NewReport(client_id, "R", status="open", details={"a": "b"}))
    assert store.reports == {(1, report_id): NewReport(client_id, "R", status="Open", details={"a": "b"})}


async def test_a_report_without_a_status_is_a_draft(store: FakeEngagementStore, engagements: Engagements) -> None:
    client_id = await engagements.create_client(IMPORTER, NewClient("Karbo"))
    report_id = await engagements.create_report(IMPORTER, NewReport(client_id, "R"))
    assert store.reports[1, report_id].status == "Draft"


async def test_a_report_of_an_unknown_foreign_or_ungranted_client_is_not_found(engagements: Engagements) -> None:
    client_id = await engagements.create_client(IMPORTER, NewClient("Karbo"))
    for principal, wanted in ((IMPORTER, 5), (STRANGER, client_id), (LIMITED, client_id)):
        with pytest.raises(NotFound) as refusal:
            await engagements.create_report(principal, NewReport(wanted, "R"))
        assert refusal.value.reason == "CLIENT_NOT_FOUND"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": ""}, "FIELD_REQUIRED"),
        ({"status": "Whatever"}, "INVALID_STATUS"),
        ({"details": {"a": "b\0"}}, "INVALID_DETAILS"),
        ({"details": {"a": "b" * 70_000}}, "INVALID_DETAILS"),
    ],
)
async def test_a_report_that_cannot_be_stored_is_refused(
    engagements: Engagements, change: dict[str, Any], reason: str
) -> None:
    client_id = await engagements.create_client(IMPORTER, NewClient("Karbo"))
    members: dict[str, Any] = {"client_id": client_id, "name": "R", **change}
    with pytest.raises(InvalidArgument) as refusal:
        await engagements.create_report(IMPORTER, NewReport(**members))
    assert refusal.value.reason == reason


async def test_limits_are_set_for_the_tenant_that_is_named(
    store: FakeEngagementStore, engagements: Engagements
) -> None:
    assert await engagements.set_limits(2, Limits(5, None)) == Limits(5, None)
    assert store.limits_set == {2: Limits(5, None)}


async def test_the_running_limit_is_the_tenants_or_the_default(engagements: Engagements) -> None:
    assert await engagements.running_limit(2) == 4
    await engagements.set_limits(2, Limits(None, 9))
    assert [await engagements.running_limit(tenant) for tenant in (1, 2)] == [4, 9]


@pytest.mark.parametrize(
    ("tenant_id", "limits"),
    [(0, Limits(1, 1)), (-1, Limits(1, 1)), (1, Limits(-1, None)), (1, Limits(None, -1)), (1, Limits(None, 1_001))],
)
async def test_impossible_limits_are_refused(
    store: FakeEngagementStore, engagements: Engagements, tenant_id: int, limits: Limits
) -> None:
    with pytest.raises(InvalidArgument):
        await engagements.set_limits(tenant_id, limits)
    assert not store.limits_set
