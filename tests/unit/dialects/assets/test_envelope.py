from __future__ import annotations

import json

from dialects.assets.aql_tree import AqlError
from dialects.assets.envelope import error_envelope
from dialects.assets.problems import MOST_ATTRIBUTES, Problem, attribute_path, invalid_mapping, invalid_object
from runtime.errors import FailedPrecondition, InvalidArgument, Unauthenticated
from runtime.interceptors.failures import LONGEST_BODY, error_body


def test_an_error_has_all_that_clients_look_for() -> None:
    body = error_envelope(FailedPrecondition("IN_PROGRESS", "It is running."), 409)
    assert body == {
        "errorMessages": ["It is running."],
        "errors": {},
        "result": "error",
        "errorCode": "IN_PROGRESS",
        "code": 409,
        "message": "It is running.",
    }


def test_the_member_that_is_wrong_is_named() -> None:
    assert error_envelope(InvalidArgument("FIELD_REQUIRED", "name is required.", field="name"), 400)["errors"] == {
        "name": "name is required."
    }


def test_who_is_not_known_is_told_in_one_word_and_in_a_sentence() -> None:
    body = error_envelope(Unauthenticated("NO_CREDENTIAL", "This needs a credential."), 401)
    assert (body["code"], body["message"]) == (401, "Unauthorized")
    assert body["errorMessages"] == ["This needs a credential."]


def test_every_attribute_that_is_wrong_is_named_as_clients_look_for_it() -> None:
    problems = [Problem("TYPE_MISMATCH", attribute_path(number), "The value is no number.") for number in range(9)]
    body = error_envelope(invalid_object(problems, "Cores"), 400)
    assert (body["errorCode"], body["message"]) == (
        "INVALID_OBJECT", "Cores: The value is no number. There are 8 more.",
    )  # fmt: skip
    shown = [f"rlabs-insight-attribute-{number}" for number in range(MOST_ATTRIBUTES)]
    assert body["errors"] == dict.fromkeys(shown, "The value is no number.")
    assert [each["path"] for each in body["dataValidationErrors"]] == shown
    message = f'There is no object "{"ä" * 20}" to refer to.'
    long = [Problem("REFERENCE_NOT_FOUND", attribute_path(2**31 - number), message) for number in range(9)]
    assert len(error_body(error_envelope, invalid_object(long, "Peer"))) <= LONGEST_BODY


def test_problems_of_a_mapping_are_listed() -> None:
    error = invalid_mapping([Problem("NAME_DUPLICATE", "a.b", "It is there twice."), Problem("X", "", "y")])
    body = error_envelope(error, 400)
    assert body["dataValidationErrors"] == [
        {"code": "NAME_DUPLICATE", "path": "a.b", "message": "It is there twice."},
        {"code": "X", "path": "", "message": "y"},
    ]
    assert body["message"] == "a.b: It is there twice. There are 1 more."
    assert body["errors"] == {"a.b": body["message"]}


def test_an_error_of_a_query_says_where() -> None:
    body = json.loads(error_body(error_envelope, AqlError("It ends there.", 7)))
    assert (body["errorCode"], body["message"]) == ("INVALID_AQL", "It ends there.")


def test_however_many_problems_there_are_the_answer_fits_its_trailer() -> None:
    error = invalid_mapping([Problem("EXTERNAL_ID_DUPLICATE", "p" * 1_000, "m" * 1_000)] * 500)
    body = error_body(error_envelope, error)
    assert len(body) <= LONGEST_BODY
    assert len(json.loads(body)["dataValidationErrors"]) == 10
