"""The span of an attempt, in the trace of the import's trigger."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from uuid import UUID

from runtime.tracing import Span, child_of, current_traceparent, span, trace_id_of
from services.importer.engine.claims import Claim


def attempt_span(claim: Claim) -> AbstractContextManager[Span]:
    """A span around an attempt, with a link to the attempt that it goes on from.

    Nothing is handed from one attempt to the next but the database, and the worker of the earlier one may be dead. So
    the id of such a span is made of the import and the number of the attempt, and is known to whoever comes next.
    """
    import_id = claim.job.import_id
    around = current_traceparent()
    # A message may have come without a trace, or with another: the row of the import says which one it is.
    is_same_trace = trace_id_of(around) == trace_id_of(claim.traceparent)
    earlier = child_of(claim.traceparent, _span_id(import_id, claim.attempt - 1)) if claim.attempt > 1 else ""
    return span(
        "attempt",
        parent=around if is_same_trace else claim.traceparent,
        attributes={
            "hythe.import_id": str(import_id),
            "hythe.attempt": claim.attempt,
            "hythe.target": claim.target,
            "hythe.is_takeover": claim.is_takeover,
        },
        link=earlier,
        span_id=_span_id(import_id, claim.attempt),
    )


def _span_id(import_id: UUID, attempt: int) -> str:
    return hashlib.sha256(f"{import_id}:{attempt}".encode()).hexdigest()[:16]
