"""The tour of the README, run as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from deploy.local.environment import printed_environment
from deploy.local.instance import ROOT
from tests.stack import LiveStack

STEPS = re.compile(r"```bash\n(.*?)```", re.DOTALL)
ASK_THE_STACK = 'eval "$(make -s env)"'


def tour() -> str:
    """All steps of the tour as one script, without the line that asks `make` where the stack is."""
    section = (ROOT / "README.md").read_text().split("## A tour")[1].split("\n## ")[0]
    script = "\n".join(STEPS.findall(section))
    assert script.count(ASK_THE_STACK) == 2
    return script.replace(ASK_THE_STACK, "true")


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_step_of_the_tour_works(stack: LiveStack, tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HYTHE_")},
        **printed_environment(stack.stack.instance, stack.stack.secrets),
        "XDG_CONFIG_HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    script = tour().replace(".venv/bin/hythe", "hythe")
    done = subprocess.run(
        ["/bin/bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "Traceback" not in told
    assert "upload: 200" in told
    assert "IMPORT COMPLETE" in done.stderr
    assert re.search(r"^\d+\t(Critical|High)\t", done.stdout, re.MULTILINE), told
    assert '"statusCode":400' in told.replace(" ", "")
    assert "Result" in done.stdout
    assert "'action': 'removed'" in done.stdout
    assert '"name":"Rex"' in told.replace(" ", "")
    assert "dry run: nothing was changed" in done.stderr
