"""The body of an error of a public API, for every kind of error that there is, however it is made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.appfile import envelope as appfile
from dialects.plextrac import envelope as plextrac
from runtime.errors import InvalidArgument, ServiceError
from runtime.interceptors.failures import LONGEST_BODY, Envelope, error_body
from runtime.jetstream import QueueUnavailable
from runtime.storage import StorageUnavailable


def seen(error: ServiceError, http_status: int) -> dict[str, Any]:
    return {"kind": type(error).__name__, "status": http_status, "reason": error.reason, "message": error.message}


@pytest.mark.parametrize("error", [StorageUnavailable("MaxRetryError"), QueueUnavailable("timed out")])
def test_an_error_that_is_made_of_its_cause_is_told_without_it(error: ServiceError) -> None:
    body = json.loads(error_body(seen, error))
    assert body == {"kind": type(error).__name__, "status": 503, "reason": error.reason, "message": error.message}
    assert str(error) not in json.dumps(body)


@pytest.mark.parametrize("envelope", [appfile.error_envelope, plextrac.error_envelope], ids=["appfile", "plextrac"])
def test_a_message_is_cut_until_the_body_fits(envelope: Envelope) -> None:
    body = error_body(envelope, InvalidArgument("INVALID_OPTION", "\u2713" * 10_000, field="Empty"))
    assert len(body) <= LONGEST_BODY
    assert "\\u2713" in body
