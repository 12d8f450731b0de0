"""The configuration against the contract: what one says by hand of the other must stay true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodDescriptorProto

from gateway.render import DEFAULTS, render, tokens

FOLDER = Path(__file__).parents[3] / "gateway"
DIALECTS = "hythe.dialects."
LUA = "envoy.filters.http.lua"


@pytest.fixture(scope="module")
def connection_manager() -> dict[str, Any]:
    template = (FOLDER / "envoy.yaml").read_text()
    values = dict.fromkeys(tokens(template) - DEFAULTS.keys(), 1)
    configuration = yaml.safe_load(render(template, values))
    (listener,) = configuration["static_resources"]["listeners"]
    manager: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return manager


@pytest.fixture(scope="module")
def methods() -> dict[str, MethodDescriptorProto]:
    """By full name, of all services of ours."""
    descriptors = FileDescriptorSet.FromString((FOLDER / "descriptors.pb").read_bytes())
    return {
        f"{file.package}.{service.name}/{method.name}": method
        for file in descriptors.file
        if file.package.startswith("hythe.")
        for service in file.service
        for method in service.method
    }


def routes(manager: dict[str, Any]) -> list[dict[str, Any]]:
    (host,) = manager["route_config"]["virtual_hosts"]
    found: list[dict[str, Any]] = host["routes"]
    return found


def rest_paths(method: MethodDescriptorProto) -> Iterator[str]:
    rule = method.options.Extensions[annotations_pb2.http]
    for each in [rule, *rule.additional_bindings]:
        if verb := each.WhichOneof("pattern"):
            yield getattr(each, verb)


def filter_named(manager: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one["typed_config"] for one in manager["http_filters"] if one["name"] == name)


def test_every_service_with_rest_routes_is_transcoded_and_no_other(
    connection_manager: dict[str, Any], methods: dict[str, MethodDescriptorProto]
) -> None:
    with_routes = {name.partition("/")[0] for name, method in methods.items() if list(rest_paths(method))}

    assert set(filter_named(connection_manager, "envoy.filters.http.grpc_json_transcoder")["services"]) == with_routes


def test_every_service_has_a_route_to_one_cluster(
    connection_manager: dict[str, Any], methods: dict[str, MethodDescriptorProto]
) -> None:
    prefixes = [
        route["match"]["prefix"] for route in routes(connection_manager) if "hythe." in route["match"].get("prefix", "")
    ]
    assert sorted(prefixes) == sorted({f"/{name.partition('/')[0]}/" for name in methods})


def test_routes_of_dialects_are_closed_to_native_clients(connection_manager: dict[str, Any]) -> None:
    of_dialects = [
        route["match"] for route in routes(connection_manager) if DIALECTS in route["match"].get("prefix", "")
    ]
    assert of_dialects
    assert all(match["headers"][0]["name"] == "x-dialect" for match in of_dialects)


def test_every_route_ends_a_silent_call(connection_manager: dict[str, Any]) -> None:
    routed = [route["route"] for route in routes(connection_manager) if route.get("route", {}).get("timeout")]
    assert len(routed) > 5
    assert all(route["idle_timeout"] != "0s" for route in routed)


def pattern_of(match: dict[str, Any]) -> str:
    """What a REST route matches, as a regular expression for whole paths."""
    if template := match.get("path_match_policy", {}).get("typed_config", {}).get("path_template"):
        return re.sub(r"\{\w+\}", "[^/]+", template)
    regex: str = match["safe_regex"]["regex"] if "safe_regex" in match else re.escape(match["prefix"]) + ".*"
    return regex


def rest_routes(manager: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that the script runs on, but for files on their way to the object store; in their order."""
    return [
        route
        for route in routes(manager)
        if "filter_context" in route.get("typed_per_filter_config", {}).get(LUA, {})
        and not route["match"].get("prefix", "").startswith("/cloud/")
    ]


def route_of(manager: dict[str, Any], path: str) -> dict[str, Any]:
    """The first that matches a path of the protos, or of a document."""
    example = re.sub(r"\{\w+=\*/\*\}", "x/y", path)
    example = re.sub(r"\{\w+\}", "x", example)
    return next(route for route in rest_routes(manager) if re.fullmatch(pattern_of(route["match"]), example))


def public_paths(methods: dict[str, MethodDescriptorProto]) -> Iterator[tuple[str, MethodDescriptorProto, str]]:
    """(full name, method, path) of every route that the protos declare, but for those of files."""
    for name, method in methods.items():
        for path in rest_paths(method):
            if not path.startswith("/cloud/"):
                yield name, method, path


def test_every_rest_route_is_for_some_path(
    connection_manager: dict[str, Any], methods: dict[str, MethodDescriptorProto]
) -> None:
    used = [id(route_of(connection_manager, path)) for _, _, path in public_paths(methods)]
    assert {id(route) for route in rest_routes(connection_manager)} == set(used)


# What is sent piece by piece is a file in a form, or records; but for these.
LIMITS = {"SubmitData": "data_limit", "PreviewMapping": "json_limit"}


def test_a_body_has_the_limit_of_its_kind(
    connection_manager: dict[str, Any], methods: dict[str, MethodDescriptorProto]
) -> None:
    for name, method, path in public_paths(methods):
        if not method.options.Extensions[annotations_pb2.http].body:
            continue
        settings = route_of(connection_manager, path)["typed_per_filter_config"]
        expected = LIMITS.get(method.name, "multipart_limit") if method.client_streaming else "json_limit"
        assert {limit for limit in settings if limit.endswith("_limit")} == {expected}, name


def test_a_route_reads_the_media_types_that_the_document_names(connection_manager: dict[str, Any]) -> None:
    documents = [json.loads(file.read_text()) for file in (FOLDER / "openapi").glob("*.json")]
    named = {
        path: set(operation["requestBody"]["content"])
        for document in documents
        for path, operations in document["paths"].items()
        if not path.startswith("/cloud/")
        for operation in operations.values()
        if "requestBody" in operation
    }
    read = {
        path: set(route_of(connection_manager, path)["typed_per_filter_config"][LUA]["filter_context"]["reads"].split())
        for path in named
    }
    assert read == named


def test_a_path_has_the_dialect_of_its_service(
    connection_manager: dict[str, Any], methods: dict[str, MethodDescriptorProto]
) -> None:
    """In the request, for the service and the words of errors, and for the script."""
    for name, _, path in public_paths(methods):
        settings = route_of(connection_manager, path)["typed_per_filter_config"]
        mutations = settings["envoy.filters.http.header_mutation"]["mutations"]["request_mutations"]
        said = mutations[0]["append"]["header"]["value"]
        expected = name.removeprefix(DIALECTS).partition(".")[0] if name.startswith(DIALECTS) else "plextrac"
        assert said == expected, name
        assert settings[LUA]["filter_context"].get("dialect", "plextrac") == said, name


def test_the_script_knows_every_path_variable(methods: dict[str, MethodDescriptorProto]) -> None:
    variables = {
        name.replace("_", "")
        for method in methods.values()
        for path in rest_paths(method)
        for name in re.findall(r"\{(\w+)[=}]", path)
    }
    table = re.search(r"PATH_VARIABLES = \{(.*?)\}", (FOLDER / "gateway.lua").read_text(), re.DOTALL)

    assert table
    assert set(re.findall(r"(\w+) = true", table[1])) == variables


def test_no_query_parameter_has_the_name_of_a_path_variable(methods: dict[str, MethodDescriptorProto]) -> None:
    """The script drops such parameters on every route."""
    descriptors = FileDescriptorSet.FromString((FOLDER / "descriptors.pb").read_bytes())
    fields = {
        f".{file.package}.{message.name}": {member.name for member in message.field}
        for file in descriptors.file
        for message in file.message_type
    }
    paths = {name: " ".join(rest_paths(method)) for name, method in methods.items()}
    variables = set(re.findall(r"\{(\w+)[=}]", " ".join(paths.values())))
    for name, method in methods.items():
        if paths[name]:
            in_query = fields[method.input_type] - set(re.findall(r"\{(\w+)[=}]", paths[name]))
            assert not in_query & variables, name


def test_the_index_lists_every_openapi_document(connection_manager: dict[str, Any]) -> None:
    index = next(
        route["direct_response"]["body"]["inline_string"]
        for route in routes(connection_manager)
        if "openapi" in str(route["match"].get("safe_regex"))
    )
    served = {
        route["match"]["path"] for route in routes(connection_manager) if "openapi" in route["match"].get("path", "")
    }
    written = {f"/openapi/{file.name}" for file in (FOLDER / "openapi").glob("*.json")}

    assert set(re.findall(r'"url":"([^"]+)"', index)) == served == written


def test_a_document_fits_into_a_direct_response(connection_manager: dict[str, Any]) -> None:
    limit = connection_manager["route_config"]["max_direct_response_body_size_bytes"]
    assert all(file.stat().st_size < limit for file in (FOLDER / "openapi").glob("*.json"))
