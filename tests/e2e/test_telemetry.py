"""What operators see: one trace from trigger to flip, metrics of every process, and logs that machines can read."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.instance import ROOT
from runtime.tracing import new_traceparent, trace_id_of
from tests.e2e.rest import Rest, rest
from tests.scans import nessus
from tests.stack import LiveStack

APIS = ("identity", "upload", "importer", "status")
PROCESSES = (*APIS, "worker", "fetcher")
FILE_NAME = "a-name-for-nobody.nessus"
IMPORT_FILE = "hythe.dialects.plextrac.v2.PlextracUpload/ImportFile"
START_IMPORT = "hythe.dialects.plextrac.v2.PlextracImporter/StartImport"

OBSERVABILITY = (ROOT / "docs" / "observability.md").read_text()
# What the documentation says of each metric, which is what the processes must serve.
ROW = re.compile(
    r"^\| `(?P<name>hythe_\w+)` \| (?P<kind>\w+) \| (?P<labels>[^|]+) \| (?P<where>[^|]+) \|", re.MULTILINE
)
GROUPS = {"APIs": APIS, "all": PROCESSES}
UNITS = ("_seconds", "_bytes")


@dataclass(frozen=True)
class Described:
    name: str
    """As the client library calls a family: a counter without `_total`."""
    kind: str
    labels: frozenset[str]
    where: frozenset[str]


def described() -> dict[str, Described]:
    found = {}
    for row in ROW.finditer(OBSERVABILITY):
        where = [GROUPS.get(word, (word,)) for word in row["where"].split(", ")]
        labels = frozenset(re.findall(r"\w+", row["labels"]))
        name = row["name"].removesuffix("_total")
        found[name] = Described(name, row["kind"], labels, frozenset(each for group in where for each in group))
    return found


WANTED = described()
# Of the client library: what Python runs, and the bounds of buckets.
LIBRARY_LABELS = {"le", "generation", "implementation", "major", "minor", "patchlevel", "version"}


@dataclass
class Observed:
    """One import, and what every process wrote to its log meanwhile."""

    caller: Rest
    import_id: str
    trace_id: str
    request_id: str
    marks: dict[str, int]
    stack: LiveStack

    def lines(self, process: str) -> list[dict[str, Any]]:
        text = self.stack.log(process)[self.marks[process] :]
        # The last one may still be being written.
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def line(self, process: str, **members: object) -> dict[str, Any]:
        """The first line with these members, which may take a moment to be written."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self.lines(process) if members.items() <= line.items()), None)

        line: dict[str, Any] = eventually(found)
        return line


def eventually(find: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (found := find()):
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def observed(stack: LiveStack) -> Iterator[Observed]:
    for process in PROCESSES:
        stack.wait_ready(process)
    # A process that was killed in the middle of a line has left half of one; what begins after it is whole.
    marks = {process: len(stack.log(process)) for process in (*PROCESSES, "gateway")}
    # Nobody kills it, and it has nothing to say of an upload.
    marks["fetcher"] = 0
    caller = rest(stack)
    trace = new_traceparent()
    key = caller.upload(nessus(hosts=3, plugins=4), name=FILE_NAME)
    response = caller.trigger_response(key, headers={"traceparent": trace})
    assert response.status_code == 200, response.text
    import_id = response.json()["operationId"]
    assert caller.wait(import_id)["status"] == "IMPORT COMPLETE"
    yield Observed(caller, import_id, trace_id_of(trace), response.headers["x-request-id"], marks, stack)
    caller.http.close()


def test_one_trace_id_goes_from_the_trigger_to_the_end_of_the_import(observed: Observed) -> None:
    wanted = {"import_id": observed.import_id, "trace_id": observed.trace_id}
    assert observed.line("importer", event="import queued", **wanted)["request_id"] == observed.request_id
    assert observed.line("worker", event="import started", **wanted)["attempt"] == 1
    assert observed.line("worker", event="file recognised", **wanted)["format"] == "nessus"
    assert observed.line("worker", event="import attempt ended", **wanted)["ending"] == "succeeded"


def test_the_request_id_of_the_answer_finds_the_call_at_the_gateway_and_in_the_service(observed: Observed) -> None:
    assert observed.line("gateway", request_id=observed.request_id)
    call = observed.line("importer", event="call", request_id=observed.request_id)
    assert (call["rpc"], call["code"], call["trace_id"]) == (START_IMPORT, "OK", observed.trace_id)
    assert call["duration_ms"] > 0


@pytest.mark.parametrize("process", PROCESSES)
def test_logs_are_json_lines_that_name_service_time_and_level(observed: Observed, process: str) -> None:
    if process in APIS:
        # Whatever the tests before have done, each service is called now.
        call_each(observed)
        observed.line(process, event="call")
    lines = observed.lines(process)
    assert lines
    for line in lines:
        assert {"event", "level", "timestamp", "service"} <= line.keys(), line
        assert line["service"] == process
    calls = [line for line in lines if line["event"] == "call"]
    assert all(line["request_id"] and (len(line["trace_id"]), len(line["span_id"])) == (32, 16) for line in calls)
    assert all(line["trace_id"] and line["span_id"] for line in lines if "attempt" in line)
    assert bool(calls) == (process in APIS)


def call_each(observed: Observed) -> None:
    observed.caller.get("/api/v2/whoami")
    observed.caller.reserve(FILE_NAME)
    observed.caller.row(observed.import_id)


@pytest.mark.parametrize("process", PROCESSES)
def test_logs_hold_no_signed_url_no_key_and_no_file_name(observed: Observed, process: str) -> None:
    text = observed.stack.log(process)[observed.marks[process] :]
    assert text
    for secret in ("X-Amz-Signature", "X-Amz-Credential", observed.stack.api_key, observed.stack.password, FILE_NAME):
        assert secret not in text


def metrics_of(stack: LiveStack, process: str) -> dict[str, Metric]:
    text = httpx.get(stack.metrics_url(process)).raise_for_status().text
    return {family.name: family for family in text_string_to_metric_families(text)}


@pytest.mark.parametrize("process", PROCESSES)
def test_every_process_has_the_metrics_of_its_work_with_the_labels_that_are_documented(
    observed: Observed, process: str
) -> None:
    served = metrics_of(observed.stack, process)
    # The client library also serves when each counter began.
    families = {
        name: each
        for name, each in served.items()
        if name.startswith("hythe_") and name.removesuffix("_created") not in WANTED.keys() - {name}
    }
    wanted = {name: each for name, each in WANTED.items() if process in each.where}
    assert wanted.keys() - families.keys() == set(), "documented and not there"
    assert families.keys() - WANTED.keys() == set(), "there and not documented"
    for name, family in families.items():
        assert family.documentation
        assert family.type == WANTED[name].kind
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == WANTED[name].labels, sample


def test_the_metrics_that_are_promised_are_there_under_their_names_and_units() -> None:
    promised = {
        "hythe_import_job_duration_seconds": "histogram",
        "hythe_import_job_queue_age_seconds": "histogram",
        "hythe_import_records": "counter",
        "hythe_import_outbox_lag_seconds": "gauge",
        "hythe_import_lease_takeovers": "counter",
        "hythe_import_fenced_writes": "counter",
        "hythe_import_redrives": "counter",
        "hythe_import_poison": "counter",
        "hythe_rpc_server_call_duration_seconds": "histogram",
        "hythe_rpc_client_call_duration_seconds": "histogram",
        "hythe_messaging_client_operation_duration_seconds": "histogram",
        "hythe_messaging_client_sent_messages": "counter",
        "hythe_messaging_client_consumed_messages": "counter",
        "hythe_messaging_process_duration_seconds": "histogram",
    }
    assert {name: WANTED[name].kind for name in promised} == promised
    assert all(each.name.endswith(UNITS) for each in WANTED.values() if each.kind == "histogram")


@pytest.mark.parametrize(
    ("process", "name", "labels"),
    [
        ("importer", "hythe_webhook_deliveries", {"outcome": "given_up"}),
        ("worker", "hythe_scans", {"verdict": "scanner_unavailable"}),
        ("worker", "hythe_audit_events", {"outcome": "lost"}),
        ("worker", "hythe_import_job_duration_seconds", {"outcome": "failed"}),
        ("fetcher", "hythe_fetches", {"type": "rest", "ending": "failed"}),
        ("upload", "hythe_rpc_server_unknown_errors", {"rpc_method": IMPORT_FILE}),
    ],
)
def test_what_alerts_count_is_there_before_it_happens(
    observed: Observed, process: str, name: str, labels: dict[str, str]
) -> None:
    samples = metrics_of(observed.stack, process)[name].samples
    assert any(labels.items() <= sample.labels.items() for sample in samples)


@pytest.mark.parametrize("process", PROCESSES)
def test_no_label_names_a_tenant_a_person_or_a_file(observed: Observed, process: str) -> None:
    known = LIBRARY_LABELS.union(*(each.labels for each in WANTED.values()))
    assert not [label for label in known if re.search("tenant|user|file|client|import", label)]
    for family in metrics_of(observed.stack, process).values():
        for sample in family.samples:
            assert sample.labels.keys() <= known, sample
            values = " ".join(sample.labels.values())
            for hidden in (FILE_NAME, observed.import_id, observed.stack.user, str(observed.caller.client_id)):
                assert hidden not in values, sample


def test_an_import_is_counted_by_what_became_of_it(observed: Observed) -> None:
    def figures() -> dict[str, float]:
        worker, importer = metrics_of(observed.stack, "worker"), metrics_of(observed.stack, "importer")
        return {
            "inserted": value(worker, "hythe_import_records", outcome="inserted"),
            "unchanged": value(worker, "hythe_import_records", outcome="unchanged"),
            "succeeded": value(worker, "hythe_import_job_duration_seconds", "_count", outcome="succeeded"),
            "first claims": value(worker, "hythe_import_job_queue_age_seconds", "_count", lane="small"),
            "triggers": value(importer, "hythe_import_created", source="nessus", lane="small"),
            "sent": value(importer, "hythe_import_published", lane="small"),
            "messages": value(
                worker,
                "hythe_messaging_process_duration_seconds",
                "_count",
                messaging_destination_name="imports.small",
                error_type="",
            ),
            "acks": value(
                worker,
                "hythe_messaging_client_operation_duration_seconds",
                "_count",
                messaging_operation_name="ack",
                messaging_destination_name="imports.small",
                error_type="",
            ),
            "taken": value(
                importer, "hythe_messaging_client_sent_messages", messaging_destination_name="imports.small"
            ),
            "given": value(
                worker, "hythe_messaging_client_consumed_messages", messaging_destination_name="imports.small"
            ),
            "calls": value(
                importer,
                "hythe_rpc_server_call_duration_seconds",
                "_count",
                rpc_method=START_IMPORT,
                rpc_status_code="OK",
            ),
        }

    before = figures()
    assert observed.caller.imported(nessus(hosts=3, plugins=4), force=True)["status"] == "IMPORT COMPLETE"
    assert observed.caller.imported(nessus(hosts=4, plugins=4))["status"] == "IMPORT COMPLETE"
    more = {"inserted": 4, "unchanged": 24} | dict.fromkeys(
        ("succeeded", "first claims", "triggers", "sent", "messages", "acks", "taken", "given", "calls"), 2
    )

    def counted() -> bool:
        after = figures()
        return {name: after[name] - before[name] for name in more} == more

    eventually(counted)
    eventually(lambda: value(metrics_of(observed.stack, "importer"), "hythe_import_outbox_size", "") == 0)
    eventually(lambda: value(metrics_of(observed.stack, "worker"), "hythe_import_running", "", lane="small") == 0)


def value(families: dict[str, Metric], name: str, suffix: str = "_total", **labels: str) -> float:
    """Zero where nothing was counted yet."""
    samples = families[name].samples if name in families else []
    return sum(sample.value for sample in samples if sample.name == name + suffix and sample.labels == labels)
