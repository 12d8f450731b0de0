"""The parser of a peer, faraday-plugins, on the same file: in an environment of its own, because it is GPL.

It is installed by the first run, into `build/`, and by nothing but this figure. Without a network there is no peer.
"""

from __future__ import annotations

import json
import subprocess
import venv
from pathlib import Path

from bench.options import say

PACKAGE = "faraday-plugins==1.31.0"
INSTALL_SECONDS, PARSE_SECONDS = 300, 120

_ENVIRONMENT = Path(__file__).parents[1] / "build" / "peer"

# Its names of what reads the files of our formats.
PLUGINS = {
    "acunetix": "acunetix",
    "acunetix_json": "acunetix_json",
    "appscan": "appscan",
    "burp": "burp",
    "checkmarx": "checkmarx",
    "coreimpact": "coreimpact",
    "invicti_enterprise": "invicti",
    "nessus": "nessus",
    "invicti_standard": "netsparker",
    "nexpose": "nexposefull",
    "nipper": "nipper",
    "nmap": "nmap",
    "openvas": "openvas",
    "pentera": "pentera_json",
    "qualys_vm_report": "qualysguard",
    "qualys_was_report": "qualyswebapp",
    "zap": "zap",
    "zap_json": "zap_json",
}

_READ = """
import contextlib, io, json, sys, time
from faraday_plugins.plugins.manager import PluginsManager
plugin = PluginsManager().get_plugin(sys.argv[1])
began = time.process_time()
with contextlib.redirect_stdout(io.StringIO()):
    plugin.processReport(sys.argv[2])
seconds = time.process_time() - began
hosts = json.loads(plugin.get_json())["hosts"]
places = [*hosts, *(service for host in hosts for service in host["services"])]
found = sum(len(place["vulnerabilities"]) for place in places)
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(json.dumps({"seconds": seconds, "peak_mb": int(peak) * 1024 / 1e6, "found": found}))
"""


def is_ready() -> bool:
    """Is the peer installed? Tries once to do so."""
    python = _ENVIRONMENT / "bin" / "python"
    if python.exists():
        return True
    say(f"installing {PACKAGE} into {_ENVIRONMENT}")
    try:
        venv.create(_ENVIRONMENT, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]
        subprocess.run(command, check=True, timeout=INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        say(f"no peer: {error}")
        python.unlink(missing_ok=True)
        return False
    return True


def parse(format_name: str, path: Path) -> dict[str, float] | None:
    """CPU seconds, peak resident megabytes and vulnerabilities found; None where the peer has no parser or fails."""
    plugin = PLUGINS.get(format_name)
    if plugin is None or not is_ready():
        return None
    command = [str(_ENVIRONMENT / "bin" / "python"), "-c", _READ, plugin, str(path)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PARSE_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        say(f"the peer on {path.name}: {type(error).__name__}")
        return None
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer
