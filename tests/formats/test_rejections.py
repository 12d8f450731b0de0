"""Every rejected item of every format says which it is, where it stands, and what is wrong with it."""

from __future__ import annotations

import re
from io import BytesIO

import pytest

from services.importer.engine.child import _rejected, describe
from services.importer.engine.frames import Rejected
from services.importer.formats.burp.xml import FORMAT as BURP
from services.importer.formats.kit.format import Format, RecordError
from services.importer.formats.nessus.xml import FORMAT as NESSUS
from services.importer.formats.nmap.xml import ASSETS as NMAP_ASSETS
from services.importer.formats.nmap.xml import FINDINGS as NMAP
from tests.formats.golden import items
from tests.scans import nessus

BURP_ISSUE = """<issue><serialNumber>1</serialNumber><type>{type}</type><name>{name}</name>
<host ip="">{host}</host><path>/</path><location>/</location><severity>Low</severity>
<confidence>Firm</confidence></issue>
"""
NMAP_HOST = '<host><status state="up"/>{address}<ports><port protocol="tcp" portid="1">{port}</port></ports></host>\n'


def nessus_item(**attributes: str) -> bytes:
    told = {"port": "1", "severity": "0", "pluginID": "5", "pluginName": "n", "svc_name": "s", "protocol": "tcp"}
    text = " ".join(f'{name}="{value}"' for name, value in (told | attributes).items())
    return nessus(hosts=1, plugins=2).replace(b"</ReportHost>", f"<ReportItem {text}/></ReportHost>".encode())


def burp(*, name: str = "n", host: str = "http://a", type_: str = "5") -> bytes:
    good = BURP_ISSUE.format(type="1", name="good", host="http://a")
    bad = BURP_ISSUE.format(type=type_, name=name, host=host)
    return f'<?xml version="1.0"?>\n<issues burpVersion="1" exportTime="now">\n{good}{bad}</issues>'.encode()


def nmap(*, address: str = '<address addr="192.0.2.1" addrtype="ipv4"/>', port: str = "") -> bytes:
    good = NMAP_HOST.format(address='<address addr="192.0.2.9" addrtype="ipv4"/>', port="")
    bad = NMAP_HOST.format(address=address, port=port)
    return f'<?xml version="1.0"?>\n<nmaprun scanner="nmap" version="7">\n{good}{bad}</nmaprun>'.encode()


def many_weaknesses() -> str:
    lines = "&#xa;".join(f"CVE-2020-{number}&#x9;5.0&#x9;https://vulners.com/cve/x" for number in range(1_000, 11_001))
    return f'<state state="open"/><service name="s"/><script id="vulners" output="a: &#xa;{lines}"/>'


REJECTIONS = [
    (NESSUS, nessus_item(port="99999"), 3, "port", "INVALID_PORT", "99999"),
    (NESSUS, nessus_item(pluginID="first"), 3, "pluginID", "INVALID_PLUGIN_ID", "first"),
    (
        NESSUS,
        nessus_item().replace(b'ReportHost name="10.0.0.0"', b'ReportHost name=""').replace(b"host-", b"other-"),
        1,
        "ReportHost name",
        "MISSING_FIELD",
        "",
    ),
    (BURP, burp(name="", type_="77"), 2, "name", "MISSING_FIELD", "77"),
    (BURP, burp(host=""), 2, "host", "MISSING_FIELD", ""),
    (NMAP, nmap(address=""), 2, "address", "MISSING_FIELD", ""),
    (NMAP_ASSETS, nmap(address=""), 2, "address", "MISSING_FIELD", ""),
    (NMAP, nmap(port=many_weaknesses()), 2, "script", "TOO_MANY_FINDINGS", ""),
]


def rejections(format_: Format, data: bytes) -> list[Rejected]:
    found = []
    for number, (raw, position) in enumerate(items(format_, BytesIO(data)), 1):
        try:
            list(format_.read(raw))
        except RecordError as error:
            found.append(_rejected(number, describe(position), error))
    return found


@pytest.mark.parametrize(
    ("format_", "data", "number", "field", "code", "value"),
    REJECTIONS,
    ids=lambda each: getattr(each, "name", None) if not isinstance(each, bytes) else "file",
)
def test_a_rejected_item_is_told_with_its_number_place_field_reason_and_value(
    format_: Format, data: bytes, number: int, field: str, code: str, value: str
) -> None:
    rejected = rejections(format_, data)[0]
    assert (rejected.ordinal, rejected.field, rejected.code) == (number, field, code)
    assert re.fullmatch(r"line \d+, byte \d+, \w+(/\w+)*", rejected.position)
    assert rejected.message.endswith(".")
    assert rejected.value == value


def test_a_secret_in_a_rejected_value_does_not_come_out() -> None:
    secret = "Xk3vQz81LmNw0sYd5TgB"
    for data in (nessus_item(port=f"token={secret}"), nessus_item(pluginID=f"password: {secret}")):
        (rejected,) = rejections(NESSUS, data)
        assert secret not in f"{rejected}"
        assert rejected.value.endswith("[redacted]")
