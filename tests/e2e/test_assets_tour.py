"""The tour of docs/assets.md, run as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from deploy.local.environment import printed_environment
from deploy.local.instance import ROOT
from tests.stack import LiveStack

PAGE = ROOT / "docs" / "assets.md"
STEPS = re.compile(r"```bash\n(.*?)```", re.DOTALL)
ASK_THE_STACK = 'eval "$(make -s env)"'
LINK = re.compile(r"\]\(([^)#:]+\.md)(#[^)]*)?\)")


def test_links_lead_somewhere() -> None:
    links = LINK.findall(PAGE.read_text())
    assert links
    for file, anchor in links:
        target = PAGE.parent / file
        assert target.exists(), file
        titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        anchors = {"#" + re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
        assert not anchor or anchor in anchors, f"{file}{anchor}"


def test_every_step_of_the_tour_works(stack: LiveStack, tmp_path: Path) -> None:
    script = "\n".join(STEPS.findall(PAGE.read_text()))
    assert script.count(ASK_THE_STACK) == 1
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HYTHE_")},
        **printed_environment(stack.stack.instance, stack.stack.secrets),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    script = "set -eo pipefail\n" + script.replace(ASK_THE_STACK, "true")
    bash = ["/bin/bash", "-c", script]
    done = subprocess.run(bash, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=100)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "2 objects were created" in told
    assert "'value': 'many'" in told
    assert "\nweb-1\n" in told
    assert '"totalCount":0' in told.replace(" ", "").splitlines()[-1]
