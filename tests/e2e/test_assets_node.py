"""A client in Node that follows the links of an external import source; left out where there is no Node with fetch."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.assets import assets, counted
from tests.e2e.assets_documents import HOSTS, SYSTEMS, hosts
from tests.stack import LiveStack

SCRIPT = Path(__file__).parent / "node" / "assets.js"
FETCH_SINCE = 18


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no Node here")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < FETCH_SINCE:
        pytest.skip(f"Node {version.strip()} has no fetch")
    return found


def test_a_client_that_follows_the_links_imports_word_for_word(stack: LiveStack, node: str, tmp_path: Path) -> None:
    mapping, data = tmp_path / "mapping.json", tmp_path / "data.json"
    mapping.write_text(json.dumps(HOSTS))
    data.write_text(json.dumps([{"systems": SYSTEMS}, {"hosts": hosts(40)}, {"hosts": hosts(2, first=41)}]))
    with assets(stack) as caller:
        source = caller.source()
        token = caller.data("POST", f"/importsource/{source}/token")["token"]
        for outcome in ("objectsCreated", "objectsIdentical"):
            command = [node, str(SCRIPT), stack.url, token, str(mapping), str(data)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
            assert done.returncode == 0, done.stderr
            execution = json.loads(done.stdout)
            assert counted(execution, "Host") == {outcome: 42}
        assert len(caller.objects()) == 44
