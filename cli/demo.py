"""`make demo`: imports a sample scan into the local stack by the public REST requests, and shows what came out.

It may be run again: the second import of the same file changes nothing.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from pydantic import SecretStr

from cli import imports
from cli.context import Cli
from cli.engagements import Named, resolve_client, resolve_report
from cli.errors import CliError, ExitCode, of_native
from cli.imports import Order
from cli.output import Output, size
from cli.settings import Settings
from hythe_client import HytheError

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "tests" / "data" / "demo.nessus"
CLIENT = "Demo client"
REPORT = "Demo report"

SEVERITIES = ("Critical", "High", "Medium", "Low", "Informational")
TOP = 8


def main() -> None:
    output = Output()
    try:
        # What it keeps goes with the stack's own files.
        with Cli(settings=local_settings(), output=output, home=ROOT / ".state") as cli:
            exit_code = run(cli)
    except (CliError, HytheError) as error:
        known = of_native(error) if isinstance(error, HytheError) else error
        output.error(known)
        exit_code = known.exit_code
    sys.exit(exit_code)


def local_settings() -> Settings:
    """Address and development credentials of this checkout's stack, whatever the caller's environment says."""
    command = [sys.executable, "-m", "deploy.local", "env"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if printed.returncode:
        raise CliError(f"The local stack does not say where it is: {printed.stderr.strip()}", ExitCode.UNREACHABLE)
    named = dict(line.split("=", 1) for line in printed.stdout.splitlines() if "=" in line)
    return Settings(
        url=named["HYTHE_URL"],
        grpc=named["HYTHE_GRPC"],
        user=named["HYTHE_USER"],
        password=SecretStr(named["HYTHE_PASSWORD"]),
        api_key=SecretStr(""),
        ca_file=None,
    )


def run(cli: Cli, sample: Path = SAMPLE) -> ExitCode:
    """The demonstration itself. Needs a user and password, because it logs in as a REST client does."""
    out = cli.output
    out.line(f"Hythe is up at {cli.url}. Importing a sample Nessus file as a REST client would:", style="bold")
    client = resolve_client(cli.gateway, CLIENT, create=True)
    report = resolve_report(cli.gateway, client, REPORT, create=True)
    into = f"/api/v2/client/{client.id}/report/{report.id}"
    out.facts(
        [
            ("  POST /api/v1/authenticate", f"as {cli.settings.user}"),
            ("  POST /api/v2/presigned-url", f"for {sample.name}, {size(sample.stat().st_size)}"),
            ("  PUT  /cloud/uploads/…", "the file, streamed to object storage"),
            (f"  POST {into}/preuploaded-import/nessus", "queues the import"),
            ("  GET  /api/v2/my-imports/{id}", "until it is complete"),
        ]
    )
    out.line()
    import_id = imports.start(cli, Order(sample, "nessus", str(client.id), str(report.id)))
    detail = imports.watch(cli, import_id)
    out.line()
    exit_code = imports.finish(cli, detail)
    if exit_code is ExitCode.SUCCEEDED:
        show_findings(cli, client, report)
        show_ways_on(cli, client, report, import_id)
    return exit_code


def show_findings(cli: Cli, client: Named, report: Named) -> None:
    out = cli.output
    rows = [row.data for row in cli.gateway.finding_rows(client.id, report.id)]
    assets = cli.gateway.report_assets(client.id, report.id)
    counts = Counter(row[1] for row in rows)
    told = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES if counts[severity])
    out.line()
    out.line(f"{REPORT!r} of {CLIENT!r} now holds {len(rows)} findings on {len(assets)} assets: {told}.", style="bold")
    rows.sort(key=lambda row: (rank(row[1]), row[2]))
    out.table(["Flaw ", "Severity", "Title"], [(row[0], row[1], row[2]) for row in rows[:TOP]], title="The gravest")
    names = ", ".join(sorted(str(asset.get("asset", "")) for asset in assets))
    out.line(f"Assets: {names}")


def rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def show_ways_on(cli: Cli, client: Named, report: Named, import_id: str) -> None:
    hythe = Path(sys.executable).with_name("hythe")
    shown = hythe.relative_to(ROOT) if hythe.is_relative_to(ROOT) else hythe
    out = cli.output
    out.line()
    out.line("Where to look next", style="bold")
    out.facts(
        [
            ("The stack", "it goes on running: make status, make logs, make down"),
            ("First, once", 'set -a; eval "$(make -s env)"; set +a'),
            ("All imports", f"{shown} imports"),
            ("This one", f"{shown} watch {import_id}"),
            ("Import more", f"{shown} import FILE --source nessus --client {client.id} --report {report.id}"),
            ("API", f"{cli.url}/openapi/"),
            ("By curl", "the tour in README.md"),
        ]
    )


if __name__ == "__main__":
    main()
