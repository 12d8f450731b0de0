"""Logs as JSON lines, and metrics for Prometheus.

Ids of the work at hand (request_id, import_id; trace_id and span_id by `runtime.tracing`) are bound with
`structlog.contextvars` and appear in every line of the task. A signed URL or a password never appears: what looks like
one is cut on the way out, also from the texts of library errors.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import Counter, Gauge, Histogram, make_wsgi_app
from structlog.typing import EventDict, Processor, WrappedLogger

METRICS_POLL_SECONDS = 0.05
DURATION_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

RPC_DURATION = Histogram(
    "hythe_rpc_server_call_duration_seconds",
    "Time from the first byte of a call to the last of its answer.",
    ["rpc_method", "rpc_status_code"],
    buckets=DURATION_BUCKETS,
)
RPC_CLIENT_DURATION = Histogram(
    "hythe_rpc_client_call_duration_seconds",
    "From a call to another service to its answer, retries included.",
    ["rpc_method", "rpc_status_code"],
    buckets=DURATION_BUCKETS,
)
RPC_IN_FLIGHT = Gauge("hythe_rpc_server_in_flight", "Calls being served.", ["kind"])
RPC_UNKNOWN_ERRORS = Counter(
    "hythe_rpc_server_unknown_errors_total", "Calls that ended with an error nobody named.", ["rpc_method"]
)
AUDIT_EVENTS = Counter("hythe_audit_events_total", "Audit events by what became of them.", ["outcome"])
# What alerts count is there at 0: the first event of a series that begins with it is no increase.
for _outcome in ("written", "retried", "lost"):
    AUDIT_EVENTS.labels(outcome=_outcome)
DEPENDENCY_UP = Gauge("hythe_dependency_up", "Whether the last readiness check passed.", ["check"])

SECRET_NAMES = frozenset(
    {"api_key", "authorization", "cookie", "credential", "password", "secret", "secret_key", "token", "x-api-key"}
)
REDACTED = "[redacted]"
QUERY = re.compile(r"(?P<path>(?:[a-z][a-z0-9+.-]*://|/)[^\s?'\"<>]*)\?[^\s'\"<>]*", re.IGNORECASE)
USER_INFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s/@'\"]+@", re.IGNORECASE)
# Third-party loggers that speak at each request.
QUIET = ("urllib3", "asyncio", "nats", "httpx", "httpcore", "sqlalchemy.engine")


def configure_logging(name: str, level: str = "INFO") -> None:
    """One JSON object a line on stdout, from our code and from libraries alike."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _naming(name),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                structlog.processors.JSONRenderer(ensure_ascii=True, default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for logger in QUIET:
        logging.getLogger(logger).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def _naming(name: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", name)
        return event

    return add


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Cut query strings, user info of URLs and the values of fields that are secrets by name."""
    return {key: REDACTED if key.lower() in SECRET_NAMES else _clean(value) for key, value in event.items()}


def _clean(value: Any) -> Any:
    match value:
        case str():
            return clean_text(value)
        case dict():
            return {key: REDACTED if str(key).lower() in SECRET_NAMES else _clean(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(item) for item in value]
        case bool() | int() | float() | None:
            return value
        case _:
            return clean_text(str(value))


def clean_text(text: str) -> str:
    """A text without query strings and without user and password of a URL."""
    # Most texts have neither, and searching for a character is much cheaper than for a pattern.
    if "?" in text:
        text = QUERY.sub(r"\g<path>?[redacted]", text)
    return USER_INFO.sub(r"\g<scheme>[redacted]@", text) if "@" in text else text


class _MetricsServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
        """Being read by Prometheus is no news."""


def start_metrics(listen: str) -> Callable[[], None]:
    """Serve this process's metrics at host:port from a thread; the answer stops it."""
    host, _, port = listen.rpartition(":")
    server = make_server(host, int(port), make_wsgi_app(), _MetricsServer, _Silent)
    thread = Thread(target=server.serve_forever, args=(METRICS_POLL_SECONDS,), name="metrics", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
