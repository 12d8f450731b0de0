"""How an import is to be done, as callers say it: checked, and for a re-run laid over how it was done before."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from runtime.errors import InvalidArgument
from services.importer.policy import OnError, Options

SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}")
MAX_PERCENT = 100
# Counts of items are 64-bit integers wherever they are stored.
MAX_COUNT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Changes:
    """Options of which a caller may leave any out; None: it was. The three of the policy belong together."""

    dry_run: bool | None = None
    force: bool | None = None
    on_error: OnError | None = None
    max_errors: int | None = None
    max_error_percent: float | None = None
    expected_records: int | None = None
    expected_sha256: bytes | None = None

    def over(self, first: Options) -> Options:
        """What is said here, and what is not as it is in `first`."""
        policy = first.policy
        if any(each is not None for each in (self.on_error, self.max_errors, self.max_error_percent)):
            policy = msgspec.structs.replace(
                policy,
                on_error=self.on_error or policy.on_error,
                max_errors=self.max_errors,
                max_error_percent=self.max_error_percent,
            )
        records = first.policy.expected_records if self.expected_records is None else self.expected_records
        return Options(
            dry_run=first.dry_run if self.dry_run is None else self.dry_run,
            force=first.force if self.force is None else self.force,
            policy=msgspec.structs.replace(policy, expected_records=records),
            expected_sha256=first.expected_sha256 if self.expected_sha256 is None else self.expected_sha256,
        )


def checked(options: Options) -> Options:
    """The same options; InvalidArgument for those that no import can be held to."""
    policy = options.policy
    limits = (policy.max_errors, policy.max_error_percent)
    is_limited = policy.on_error is OnError.ABORT_ABOVE
    if is_limited and limits == (None, None):
        raise _bad_policy("on_error", "To abort above a number of errors, give that number or a percentage.")
    if not is_limited and limits != (None, None):
        raise _bad_policy("on_error", "A largest number of errors counts with abort-above only.")
    if policy.max_errors is not None and not 0 <= policy.max_errors <= MAX_COUNT:
        raise _bad_policy("max_errors", "max_errors must be 0 or more.")
    # So that what is no number (NaN) is refused as well.
    if policy.max_error_percent is not None and not 0 <= policy.max_error_percent <= MAX_PERCENT:
        raise _bad_policy("max_error_percent", "max_error_percent must be from 0 to 100.")
    if policy.expected_records is not None and not 0 <= policy.expected_records <= MAX_COUNT:
        raise InvalidArgument(
            "INVALID_EXPECTED_RECORDS", "The expected number of records must be 0 or more.", field="expected_records"
        )
    return options


def read_as(first: Options, given: Options) -> Options:
    """What is given, with the file read as it was the first time."""
    policy = msgspec.structs.replace(given.policy, empty=first.policy.empty, require_footer=first.policy.require_footer)
    return msgspec.structs.replace(given, policy=policy)


def sha256_of(text: str) -> bytes | None:
    """The digest that a caller has written in hexadecimal; None for an empty text."""
    stripped = text.strip()
    if not stripped:
        return None
    if not SHA256_HEX.fullmatch(stripped):
        raise InvalidArgument("INVALID_SHA256", "A SHA-256 has 64 hexadecimal digits.", field="sha256")
    return bytes.fromhex(stripped)


def request_digest(*said: Any, options: Options) -> bytes:
    """Equal for equal requests: what tells a repeated one from another with the same request id."""
    return hashlib.sha256(json.dumps((*said, msgspec.to_builtins(options))).encode()).digest()


def _bad_policy(field: str, message: str) -> InvalidArgument:
    return InvalidArgument("INVALID_POLICY", message, field=field)
