"""100,000 entries of a real slapd, where `make test-ldap` finds one."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from deploy.local.ports import free_ports
from dialects.assets.source_settings import LdapSettings, Secrets
from runtime.destinations import Destinations
from services.fetcher import directories
from services.fetcher.failures import SourceError
from services.fetcher.way import Way

SLAPD = os.environ.get("HYTHE_TEST_SLAPD", "")
ENTRIES = 100_000
BASE = "dc=example,dc=com"
READER = f"cn=reader,{BASE}"
MODULES = (Path("usr/lib/ldap"), Path("usr/lib64/openldap"), Path("usr/lib/openldap"))
SCHEMAS = (Path("etc/ldap/schema"), Path("etc/openldap/schema"))

pytestmark = [
    pytest.mark.skipif(not SLAPD, reason="there is no slapd on this machine (make test-ldap SLAPD=/path/to/slapd)"),
    pytest.mark.timeout(600),
]


def configuration(folder: Path) -> str:
    # Also where a package was unpacked into a folder of its own.
    root = Path(SLAPD).resolve().parents[2]
    schema = next(root / each for each in SCHEMAS if (root / each).is_dir())
    modules = next((root / each for each in MODULES if (root / each / "back_mdb.so").exists()), None)
    loading = f"modulepath {modules}\nmoduleload back_mdb\n" if modules else ""
    return (
        f"include {schema}/core.schema\ninclude {schema}/cosine.schema\n{loading}"
        "sizelimit size.soft=500 size.hard=500 size.prtotal=unlimited\n"
        f"database mdb\nsuffix {BASE}\nrootdn {READER}\nrootpw reader-secret\n"
        f"directory {folder}/data\nmaxsize 1073741824\n"
        f"limits dn.exact={READER} size.prtotal=unlimited\n"
    )


def entries() -> str:
    head = f"dn: {BASE}\nobjectClass: domain\ndc: example\n\n"
    each = (
        f"dn: cn=web{n:06},{BASE}\nobjectClass: device\nobjectClass: top\ncn: web{n:06}\n"
        f"serialNumber: {n}\nserialNumber: {n + 1}\nl: example\n\n"
        for n in range(ENTRIES)
    )
    return head + "".join(each)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("slapd")
    (folder / "data").mkdir()
    (folder / "slapd.conf").write_text(configuration(folder))
    (folder / "entries.ldif").write_text(entries())
    config = ["-f", str(folder / "slapd.conf")]
    subprocess.run([SLAPD, "-T", "add", "-q", *config, "-l", str(folder / "entries.ldif")], check=True)
    number = free_ports().upload
    server = subprocess.Popen([SLAPD, "-d", "0", "-h", f"ldap://127.0.0.1:{number}", *config])
    try:
        yield number
    finally:
        server.terminate()
        server.wait(30)


def rows_of(port: int) -> Iterator[dict[str, object]]:
    settings = LdapSettings(
        host="127.0.0.1",
        port=port,
        tls="none",
        base_dn=BASE,
        bind_dn=READER,
        filter="(objectClass=device)",
        page_size=500,
    )
    way = Way(Destinations("127.0.0.1"), True, certifi.where())
    for attempt in range(50):
        try:
            yield from directories.read(settings, Secrets(password="reader-secret"), way)
        except SourceError as error:
            # The server is not up yet.
            if error.code != "CONNECTION_REFUSED" or attempt == 49:
                raise
            time.sleep(0.1)
        else:
            return


def test_all_entries_come_once(port: int) -> None:
    began = time.monotonic()
    names = []
    for row in rows_of(port):
        names.append(row["cn"])
        assert isinstance(row["serialNumber"], list)
    seconds = time.monotonic() - began
    print(f"{len(names)} entries in {seconds:.1f} s: {len(names) / seconds:,.0f} a second")  # noqa: T201 - a figure
    assert len(names) == len(set(names)) == ENTRIES
