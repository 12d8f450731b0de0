"""The published page's client in Node, with axios from npm; left out where there is no Node or no npm registry."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.appfile import appfile
from tests.stack import LiveStack
from tests.sync_files import family

SCRIPT = Path(__file__).parent / "node" / "import.js"
AXIOS = "axios@1.7.9"
INSTALL_SECONDS = 60


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The beginning of its command line."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("there is no Node here")
    folder = tmp_path_factory.mktemp("node")
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--prefix", str(folder)]
    try:
        subprocess.run([npm, "install", *options, AXIOS], check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"axios cannot be had: {(error.stderr or b'')[-200:]!r}")
    return [node, str(shutil.copy(SCRIPT, folder / SCRIPT.name))]


# The second is sent in many pieces and stored in two parts.
@pytest.mark.parametrize("rows", [3, 150_000])
def test_the_clients_own_upload_and_import_work_word_for_word(
    stack: LiveStack, client: list[str], tmp_path: Path, rows: int
) -> None:
    with appfile(stack) as caller:
        file = tmp_path / "families.cc5txt"
        name = "Garcia " + "x" * 60
        file.write_text(caller.file(*(family(number, name) for number in range(rows))))
        arguments = [stack.url, stack.api_key, caller.workspace_id, caller.bucket, str(file)]
        done = subprocess.run([*client, *arguments], capture_output=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr.decode()
        said, status = done.stdout.decode().splitlines()
        assert said == "File uploaded successfully: 200"
        found = json.loads(status)
        assert (found["Status"], found["Progress"]["RowsInserted"]) == ("Imported", rows)
        assert found["Size"] == file.stat().st_size
