"""Who gets at what of the Assets API: container tokens, scopes, roles, other tenants, people with grants of clients."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest

from hythe.identity.v1 import identity_pb2 as identity
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub
from tests.e2e.assets import Assets, assets
from tests.e2e.assets_documents import HOSTS, hosts
from tests.e2e.matrix_world import IMPORTER, VIEWER, Founder, Person
from tests.stack import LiveStack

IMPORT = "import:import-configuration:cmdb"
READ = "read:cmdb-object:jira"
WRITE = "write:cmdb-object:jira"
SECRET = "pass-" + "w0rd-of-the-source"


@dataclass
class Home:
    """A tenant of its own with a source, an execution and objects."""

    grpc: str
    admin: Person
    people: dict[str, Person]
    assets: Assets
    source: str
    execution: str
    object_key: str


@pytest.fixture(scope="module")
def home(stack: LiveStack) -> Iterator[Home]:
    founder = Founder(stack)
    tenant = founder.tenant(f"hazel{secrets.token_hex(4)}")
    admin = tenant.people["admin"]
    people = {
        "viewer": founder.person(tenant, "viewer", VIEWER),
        "importer": founder.person(tenant, "importer", IMPORTER),
        "limited": founder.person(tenant, "limited", IMPORTER, (1,)),
    }
    with assets(stack, **admin.by_key) as made:
        source = made.source(document=HOSTS)
        execution = made.push(source, {"hosts": hosts(2)})["executionId"]
        object_key = made.found('Name = "host-1"')["values"][0]["objectKey"]
        yield Home(stack.grpc, admin, people, made, source, execution, object_key)
    founder.close()


def status_of(home: Home, headers: dict[str, str], method: str, path: str, body: Any = None) -> int:
    url = path if path.startswith(("/api", "/app")) else f"{home.assets.root}{path}"
    content = None if body is None else json.dumps(body)
    sent = {**headers, **({"Content-Type": "application/json"} if body is not None else {})}
    with httpx.Client(base_url=home.assets.http.base_url, headers=sent, timeout=60) as client:
        return client.request(method, url, content=content).status_code


def paths(home: Home, source: str = "", execution: str = "") -> list[tuple[str, str, Any]]:
    """Requests about a source and one of its executions."""
    at, run = f"/importsource/{source or home.source}", execution or home.execution
    return [
        ("GET", at, None),
        ("GET", f"{at}/configstatus", None),
        ("GET", f"{at}/mapping", None),
        ("GET", f"{at}/schema-and-mapping", None),
        ("GET", f"{at}/schedule", None),
        ("GET", f"{at}/executions", None),
        ("GET", f"{at}/executions/status", None),
        ("GET", f"{at}/executions/{run}", None),
        ("GET", f"{at}/executions/{run}/status", None),
        ("GET", f"{at}/executions/{run}/progress", None),
        ("GET", f"{at}/executions/{run}/data", None),
        ("GET", f"{at}/executions/{run}/errors", None),
        ("GET", f"/progress/category/imports/{source or home.source}", None),
        ("PATCH", f"{at}/mapping", HOSTS),
        ("DELETE", f"{at}/executions/{run}", None),
    ]


def test_a_container_token_reaches_its_source_and_no_other(home: Home) -> None:
    other = home.assets.source(document=HOSTS, name="another")
    run = home.assets.push(other, {"hosts": hosts(1)})["executionId"]
    token = home.assets.data("POST", f"/importsource/{home.source}/token")["token"]
    headers = {"authorization": f"Bearer {token}"}
    for method, path, body in paths(home):
        assert status_of(home, headers, method, path, body) in {200, 204}, (method, path)
    for method, path, body in [
        *paths(home, other, run),
        ("POST", f"/importsource/{other}/executions", {}),
        ("POST", f"/import/start/{other}", {}),
        ("POST", f"/importsource/{other}/executions/{run}/data", {"completed": True}),
        ("POST", f"/importsource/{other}/executions/{run}/rollback", {}),
        # Its own source's name with the execution of the other one.
        *[each for each in paths(home, "", run) if run in each[1]],
    ]:
        assert status_of(home, headers, method, path, body) == 404, (method, path)


def test_a_container_token_is_good_for_nothing_else(home: Home) -> None:
    token = home.assets.data("POST", f"/importsource/{home.source}/token")["token"]
    headers = {"authorization": f"Bearer {token}"}
    for method, path, body in [
        ("GET", "/api/v2/my-imports", None),
        ("GET", "/api/v1/client/list", None),
        ("POST", "/api/v2/presigned-url", {"name": "a.nessus"}),
        ("POST", "/appfile/file/path", {"FileName": "a.cc5txt"}),
        ("POST", "/appdata/wks_family/query", {}),
        ("GET", f"/api/v2/my-imports/{home.execution}", None),
    ]:
        assert status_of(home, headers, method, path, body) in {401, 403}, (method, path)
    for method, path, body in [
        ("GET", f"/importsource/{home.source}/token", None),
        ("POST", f"/importsource/{home.source}/token", {}),
        ("POST", "/importsource", {"name": "x", "type": "external", "objectSchemaId": home.assets.schema_id}),
        ("DELETE", f"/importsource/{home.source}", None),
        *[(method, path, body) for method, path, body, _ in edits(home)],
    ]:
        assert status_of(home, headers, method, path, body) in {403, 404}, (method, path)


def test_a_new_container_token_ends_the_old_one(home: Home) -> None:
    path = f"/importsource/{home.source}/token"
    first, second = (home.assets.data("POST", path)["token"] for _ in range(2))
    assert home.assets.data("GET", path)["token"] == second
    at = f"/importsource/{home.source}/configstatus"
    assert status_of(home, {"authorization": f"Bearer {second}"}, "GET", at) == 200
    # No service has seen it: those that have remember it for up to a minute.
    assert status_of(home, {"authorization": f"Bearer {first}"}, "GET", at) == 401


def test_another_tenant_finds_nothing(stack: LiveStack, home: Home) -> None:
    stranger = {"x-api-key": stack.api_key}
    for method, path, body in [
        *paths(home),
        ("GET", f"/importsource/{home.source}/token", None),
        ("POST", f"/importsource/{home.source}/executions", {}),
        ("GET", f"/objectschema/{home.assets.schema_id}", None),
        ("GET", "/objectschema/list", None),
        ("POST", "/object/aql", {"qlQuery": "Name LIKE host"}),
        *[(method, path, body) for method, path, body, _ in edits(home) if path != "/object/create"],
    ]:
        assert status_of(home, stranger, method, path, body) == 404, (method, path)
    with assets(stack) as own:
        # Its own workspace, the other's ids.
        for path in (
            f"/importsource/{home.source}",
            f"/importsource/{home.source}/executions/{home.execution}/status",
            f"/objectschema/{home.assets.schema_id}",
            f"/object/{home.object_key}",
            f"/progress/category/imports/{home.source}",
        ):
            assert own.call("GET", path).status_code == 404, path
        query = {"qlQuery": f"objectSchemaId = {home.assets.schema_id}"}
        assert own.refused("POST", "/object/aql", query) == (400, "AQL_NAME_UNKNOWN")
        assert own.objects("Name LIKE host") == {}
        new = {"name": "x", "type": "csv", "objectSchemaId": home.assets.schema_id}
        refused = own.call("POST", "/importsource", new)
        assert refused.status_code in {400, 404}


def scoped_key(home: Home, *scopes: str) -> dict[str, str]:
    with grpc.insecure_channel(home.grpc) as channel:
        request = identity.CreateApiKeyRequest(user_id=home.admin.user_id, name="scoped", scopes=scopes)
        metadata = tuple(home.admin.by_token.items())
        made = IdentityServiceStub(channel).CreateApiKey(request, timeout=30, metadata=metadata)
    return {"x-api-key": made.secret}


@pytest.mark.parametrize(
    ("scopes", "imports", "reads", "writes"),
    [
        ((IMPORT,), True, False, False),
        ((READ,), False, True, False),
        ((IMPORT, READ), True, True, False),
        ((WRITE,), False, False, True),
    ],
)
def test_a_key_with_scopes_does_what_they_say_and_no_more(
    home: Home, scopes: tuple[str, ...], imports: bool, reads: bool, writes: bool
) -> None:
    headers = scoped_key(home, *scopes)
    for method, path, body in paths(home):
        assert (status_of(home, headers, method, path, body) in {200, 204}) is imports, (method, path)
        assert imports or status_of(home, headers, method, path, body) == 403
    for method, path, body in [
        ("POST", "/object/aql", {"qlQuery": "Name LIKE host"}),
        ("POST", "/object/aql/totalcount", {"qlQuery": "Name LIKE host"}),
        ("GET", f"/objectschema/{home.assets.schema_id}", None),
        ("GET", "/objectschema/list", None),
        ("GET", f"/object/{home.object_key}", None),
    ]:
        assert status_of(home, headers, method, path, body) == (200 if reads else 403), (method, path)
    for method, path, body, done in edits(home):
        assert status_of(home, headers, method, path, body) == (done if writes else 403), (method, path)
    assert status_of(home, headers, "GET", "/api/v1/client/list") == 403


def edits(home: Home) -> list[tuple[str, str, Any, int]]:
    """Ways to write objects that change nothing, and how they end."""
    nothing: dict[str, Any] = {"attributes": []}
    return [
        ("PUT", f"/object/{home.object_key}", nothing, 200),
        ("POST", "/object/create", nothing, 400),
        ("DELETE", "/object/999999999", None, 404),
    ]


def test_roles_limit_what_people_may_do(home: Home) -> None:
    new = {"name": "x", "type": "external", "objectSchemaId": home.assets.schema_id}
    start = f"/importsource/{home.source}/executions"
    for name, reads, imports, administers in (("viewer", 200, 403, 403), ("importer", 200, 200, 403)):
        headers = home.people[name].by_key
        assert status_of(home, headers, "GET", f"/importsource/{home.source}") == reads
        assert status_of(home, headers, "POST", "/object/aql", {"qlQuery": "Name LIKE host"}) == reads
        assert status_of(home, headers, "POST", start, {}) == imports
        for method, path, body, done in edits(home):
            assert status_of(home, headers, method, path, body) == (done if imports == 200 else 403)
        assert status_of(home, headers, "POST", "/importsource", new) == administers
        assert status_of(home, headers, "GET", f"/importsource/{home.source}/token") == administers
    latest = home.assets.data("GET", f"/importsource/{home.source}/executions/status")["executionId"]
    home.assets.data("DELETE", f"/importsource/{home.source}/executions/{latest}")


def test_who_is_limited_to_clients_has_no_part_in_workspaces(home: Home) -> None:
    headers = home.people["limited"].by_key
    for method, path, body in [*paths(home), ("POST", "/object/aql", {"qlQuery": "Name LIKE host"})]:
        assert status_of(home, headers, method, path, body) in {403, 404}, (method, path)


def test_credentials_of_a_source_are_in_no_answer(home: Home) -> None:
    settings = {
        "dialect": "postgresql", "host": "db.example.com", "database": "inventory", "user": "reader",
        "password": SECRET, "table": "hosts",
    }  # fmt: skip
    source = home.assets.source("database", name="with a password", settings=settings)
    said = [home.assets.call("GET", path).text for path in (f"/importsource/{source}", "/importsource")]
    said += [home.assets.call("PUT", f"/importsource/{source}", {"description": "changed"}).text]
    said += [home.assets.call("GET", f"/importsource/objectschema/{home.assets.schema_id}").text]
    assert all("with a password" in each for each in said)
    assert not any(SECRET in each for each in said)
    assert home.assets.data("GET", f"/importsource/{source}")["hasSecret"] is True
    moved = {"settings": {"host": "elsewhere.example.com"}}
    assert home.assets.refused("PUT", f"/importsource/{source}", moved) == (400, "SECRETS_REQUIRED")
