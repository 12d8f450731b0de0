"""Every RPC of every generated service says who may call it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest
from google.protobuf.descriptor import MethodDescriptor

import hythe
from hythe.options.v1 import options_pb2
from runtime.context import Principal, Role
from runtime.errors import PermissionDenied
from runtime.interceptors.authorization import check, rule_of


def methods() -> Iterator[MethodDescriptor]:
    for module in pkgutil.walk_packages(hythe.__path__, "hythe."):
        if module.name.endswith("_pb2"):
            for service in importlib.import_module(module.name).DESCRIPTOR.services_by_name.values():
                yield from service.methods


METHODS = {f"{method.containing_service.full_name}/{method.name}": method for method in methods()}


def test_there_are_services() -> None:
    assert {name.partition("/")[0] for name in METHODS} >= {
        "hythe.identity.v1.IdentityService",
        "hythe.importer.v1.ImportService",
        "hythe.status.v1.StatusService",
        "hythe.upload.v1.UploadService",
    }


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_who_may_call_it(name: str) -> None:
    rule = rule_of(name)
    assert rule is not None, f"{name} has no option hythe.options.v1.authorization: nobody may call it"
    assert not (rule.anonymous and rule.operator)


@pytest.mark.parametrize("name", METHODS)
def test_a_role_is_one_that_the_runtime_knows(name: str) -> None:
    rule = rule_of(name)
    assert rule is not None
    assert rule.anonymous or Role(rule.role)


@pytest.mark.parametrize(
    "name", ["hythe.nothing.v1.Service/Method", "hythe.identity.v1.IdentityService/Nothing", "", "/"]
)
def test_what_does_not_exist_has_no_rule(name: str) -> None:
    assert rule_of(name) is None


@pytest.mark.parametrize("needed", Role)
@pytest.mark.parametrize("has", Role)
def test_a_higher_role_includes_the_lower(needed: Role, has: Role) -> None:
    principal = Principal(1, 2, "a@b.c", has)
    rule = options_pb2.Authorization(role=options_pb2.Role.ValueType(needed))
    if has >= needed:
        check(principal, rule)
    else:
        with pytest.raises(PermissionDenied) as refusal:
            check(principal, rule)
        assert refusal.value.reason == "ROLE_REQUIRED"


def test_an_admin_is_no_operator() -> None:
    rule = options_pb2.Authorization(role=options_pb2.ROLE_ADMIN, operator=True)
    check(Principal(1, 2, "a@b.c", Role.ADMIN, operator=True), rule)
    with pytest.raises(PermissionDenied) as refusal:
        check(Principal(1, 2, "a@b.c", Role.ADMIN), rule)
    assert refusal.value.reason == "OPERATOR_REQUIRED"


@pytest.mark.parametrize(
    ("has", "needs", "may"),
    [
        ((), (), True),
        ((), ("a", "b"), True),
        (("a",), ("a", "b"), True),
        (("b", "c"), ("a", "b"), True),
        (("c",), ("a", "b"), False),
        (("a",), (), False),
    ],
)
def test_a_credential_with_scopes_needs_one_of_the_methods(
    has: tuple[str, ...], needs: tuple[str, ...], may: bool
) -> None:
    rule = options_pb2.Authorization(role=options_pb2.ROLE_VIEWER, scopes=needs)
    principal = Principal(1, 2, "a@b.c", Role.ADMIN, scopes=frozenset(has))
    if may:
        check(principal, rule)
    else:
        with pytest.raises(PermissionDenied) as refusal:
            check(principal, rule)
        assert refusal.value.reason == "SCOPE_REQUIRED"


def test_a_container_token_is_refused_where_no_scope_is_named() -> None:
    holder = replace(Principal(1, 2, "a@b.c", Role.IMPORTER), import_source_id=UUID(int=1))
    with pytest.raises(PermissionDenied):
        check(holder, options_pb2.Authorization(role=options_pb2.ROLE_VIEWER))


@pytest.mark.parametrize("name", [name for name in METHODS if name.startswith("hythe.dialects.assets.v1.")])
def test_every_method_of_the_assets_api_names_a_published_scope(name: str) -> None:
    rule = rule_of(name)
    assert rule is not None
    published = {"import:import-configuration:cmdb", "read:cmdb-object:jira", "write:cmdb-object:jira"}
    assert rule.anonymous or set(rule.scopes) & published
