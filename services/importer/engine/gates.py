"""What must hold of a file before it is merged: the digest and the count that were promised, and few enough errors."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import msgspec

from services.importer.engine.failures import ImportFailure
from services.importer.engine.frames import Batch
from services.importer.engine.target import Tally
from services.importer.policy import OnError, Options, Policy


def error_limit(policy: Policy) -> int | None:
    """How many rejected items are too few to stop the reading; None when none are too many."""
    match policy.on_error:
        case OnError.ABORT:
            return 0
        case OnError.ABORT_ABOVE:
            return policy.max_errors
        case OnError.CONTINUE | OnError.ALL_OR_NOTHING:
            return None


def cut(batch: Batch[Any], policy: Policy, rejected: int) -> Batch[Any]:
    """The batch as far as the item that is one too many; `rejected` came before it.

    So an import that is ended by its errors has the same counters each time it is tried.
    """
    limit = error_limit(policy)
    if limit is None or rejected + len(batch.rejected) <= limit:
        return batch
    kept = batch.rejected[: limit + 1 - rejected]
    last = kept[-1].ordinal
    return msgspec.structs.replace(
        batch, items=[item for item in batch.items if item.ordinal < last], rejected=kept, read=last
    )


def check_on_the_way(policy: Policy, tally: Tally, position: str = "") -> None:
    """Raises ImportFailure when there are more rejected items than the reading goes on with."""
    limit = error_limit(policy)
    if limit is not None and tally.rejected > limit:
        raise ImportFailure(
            "TOO_MANY_ERRORS",
            f"{_items(tally.rejected)} rejected; {limit} may be.",
            position,
        )


def check_whole(options: Options, tally: Tally, digest: bytes | None) -> None:
    """Raises ImportFailure when the whole file is not what it was said to be, or has too many errors."""
    policy = options.policy
    if options.expected_sha256 is not None and options.expected_sha256 != digest:
        found = digest.hex() if digest else "unknown"
        raise ImportFailure(
            "CHECKSUM_MISMATCH",
            f"The SHA-256 of the file is {found}, not {options.expected_sha256.hex()} as was said.",
        )
    if policy.expected_records is not None and policy.expected_records != tally.read:
        raise ImportFailure(
            "COUNT_MISMATCH", f"The file has {tally.read} items, not {policy.expected_records} as was said."
        )
    check_errors(policy, tally)


def check_errors(policy: Policy, tally: Tally) -> None:
    """Raises ImportFailure when there are more rejected items than a whole file may have."""
    check_on_the_way(policy, tally)
    if policy.on_error is OnError.ALL_OR_NOTHING and tally.rejected:
        raise ImportFailure(
            "TOO_MANY_ERRORS",
            f"{_items(tally.rejected)} rejected of {tally.read}, and all or nothing was to be imported.",
        )
    if policy.on_error is OnError.ABORT_ABOVE and policy.max_error_percent is not None:
        # The limit is meant as it is written: 0.1 % is one in a thousand, which no binary fraction is.
        allowed = Fraction(str(policy.max_error_percent)) * tally.read / 100
        if tally.rejected > allowed:
            raise ImportFailure(
                "TOO_MANY_ERRORS",
                f"{_items(tally.rejected)} rejected of {tally.read}; {policy.max_error_percent:g} % may be.",
            )


def _items(count: int) -> str:
    return "1 item was" if count == 1 else f"{count} items were"
