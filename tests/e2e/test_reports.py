"""The full report of what was rejected, as it is downloaded."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.e2e.rest import Rest
from tests.e2e.test_cli import Inside
from tests.scans import nessus
from tests.stack import LiveStack

BAD_ITEMS = 1_200
KEPT_AS_ROWS = 1_000
HEADER = ["record_number", "position", "field", "code", "message", "value"]


def scan(bad: int) -> bytes:
    items = "".join(
        f'<ReportItem port="0" severity="0" pluginID="=bad{number}" pluginName="No number"/>' for number in range(bad)
    )
    return nessus(hosts=1, plugins=2).replace(b"</ReportHost>", f"{items}</ReportHost>".encode())


def test_the_report_has_every_rejected_item_and_the_rows_the_first_thousand(caller: Rest, stack: LiveStack) -> None:
    import_id = caller.imported(scan(BAD_ITEMS))["key"]
    assert caller.detail(import_id)["counters"]["rejected"] == BAD_ITEMS
    signed = caller.get(f"/api/v2/my-imports/{import_id}/report")
    answer = httpx.get(signed["url"])

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="errors-{import_id}.csv"'
    assert answer.headers["cache-control"] == "no-store"
    header, *rows = csv.reader(io.StringIO(answer.text, newline=""))
    assert header == HEADER
    # Two items of the file are good.
    assert [int(row[0]) for row in rows] == list(range(3, BAD_ITEMS + 3))
    assert rows[0][3:] == ["INVALID_PLUGIN_ID", "The plugin id is not a number.", "'=bad0"]

    pages, token = [], ""
    while True:
        page = caller.get(f"/api/v2/my-imports/{import_id}/errors", params={"limit": 600, "page_token": token})
        pages += page["errors"]
        token = page["nextPageToken"]
        if not token:
            break
    assert [error["recordNumber"] for error in pages] == list(range(3, KEPT_AS_ROWS + 3))
    assert page["totalRejected"] == BAD_ITEMS

    signature = parse_qs(urlsplit(signed["url"]).query)["X-Amz-Signature"][0]
    for process in ("status", "gateway", "worker", "importer"):
        assert signature not in stack.log(process)


def test_the_url_of_a_report_is_good_for_nothing_else(caller: Rest) -> None:
    first, second = (caller.imported(scan(bad))["key"] for bad in (1, 2))
    url = caller.get(f"/api/v2/my-imports/{first}/report")["url"]

    assert httpx.get(url.replace(first, second, 1)).status_code == 403
    assert httpx.get(url.replace("X-Amz-Signature=", "X-Amz-Signature=0")).status_code == 403
    assert httpx.get(url.partition("?")[0]).status_code == 404
    assert httpx.put(url, content=b"x").status_code == 403
    for verb in ("POST", "DELETE", "HEAD"):
        assert httpx.request(verb, url).status_code == 404
    assert httpx.get(url).status_code == 200


def test_the_command_line_shows_what_is_kept_and_downloads_all(caller: Rest, stack: LiveStack, tmp_path: Path) -> None:
    import_id = caller.imported(scan(BAD_ITEMS))["key"]
    shell = Inside({"HYTHE_URL": stack.url, "HYTHE_API_KEY": stack.api_key}, tmp_path / "home")
    shown = shell.json("errors", import_id)
    assert (shown["total_rejected"], len(shown["errors"])) == (BAD_ITEMS, KEPT_AS_ROWS)
    target = tmp_path / "errors.csv"
    assert shell.json("errors", import_id, "--report", target)["size_bytes"] == target.stat().st_size
    with target.open(newline="") as file:
        assert len(list(csv.reader(file))) == BAD_ITEMS + 1


def test_an_import_of_which_nothing_was_rejected_has_no_report(caller: Rest) -> None:
    import_id = caller.imported(nessus(hosts=1, plugins=1))["key"]
    answer = caller.http.get(f"/api/v2/my-imports/{import_id}/report")
    assert (answer.status_code, answer.json()["message"]) == (404, f"Import {import_id} has no report.")
