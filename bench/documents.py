"""Writes large scan files of each format for benchmarks and tests: invented, seeded, never held in memory.

What matters for the figures is as in real files: definitions that repeat for every host, output that does not, texts
with references and a few characters beyond ASCII, responses in base64, hosts with many different ports.
"""

from __future__ import annotations

import base64
import itertools
import random
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from bench.sync_files import cc5, cc5_json

_DATA = Path(__file__).parents[1] / "tests" / "data"
_KINDS = 50

_SENTENCE = (
    "a service on this host answers requests with memory it should not show so that anyone on the network may read "
    "keys of sessions or run code with its rights the scanner compared versions only and did not try the flaw update "
    "the package or close the port until the vendor has an answer check the policy of the group"
)
_WORDS = tuple(_SENTENCE.split())
_ODD = (
    "Größe “quoted”",
    "if (a < b && c > d) return;",
    "C:\\Program Files\\Ship & Co\\run.exe",
    "東京 テスト",
    "<b>bold</b>",
)
_SERVICES = (("www", 443, "tcp"), ("ssh", 22, "tcp"), ("cifs", 445, "tcp"), ("dns", 53, "udp"), ("general", 0, "tcp"))
_PRODUCTS = (
    ("ssh", 22, "OpenSSH", "7.9p1", "openbsd:openssh"),
    ("http", 80, "Apache httpd", "2.4.41", "apache:http_server"),
    ("https", 443, "nginx", "1.18.0", "nginx:nginx"),
    ("microsoft-ds", 445, "", "", ""),
    ("domain", 53, "ISC BIND", "9.16.1", "isc:bind"),
    ("mysql", 3306, "MySQL", "8.0.21", "mysql:mysql"),
    ("smtp", 25, "Postfix smtpd", "", "postfix:postfix"),
    ("ms-wbt-server", 3389, "", "", ""),
)
_DOWN, _MOVED, _PLUGINS, _DNS = 0.1, 0.15, 600, 53
_BODY_LIMIT, _NOISE_BYTES = 1 << 20, 4_096
_QIDS = 100


def nessus(items: int, seed: int = 1) -> Iterator[bytes]:
    """A Nessus report with this many items, about 40 on a host."""
    rng = random.Random(seed)
    prose = _Prose(rng, 0.01)
    plugins = [_plugin(rng, prose, 10_000 + index) for index in range(_PLUGINS)]
    weights = [1 / (index + 8) ** 0.7 for index in range(_PLUGINS)]
    yield b'<?xml version="1.0" ?>\n<NessusClientData_v2>\n<Policy><policyName>Bench</policyName><Preferences>\n<value>'
    for _ in range(40):
        yield "".join(f"{rng.randint(10_000, 199_999)};" for _ in range(700)).encode()
    yield b'</value>\n</Preferences></Policy>\n<Report name="Bench" xmlns:cm="http://www.nessus.org/cm">\n'
    left, host = items, 0
    while left > 0:
        address, count = f"10.{host >> 16 & 255}.{host >> 8 & 255}.{host & 255}", min(left, rng.randint(20, 60))
        yield f'<ReportHost name="{address}"><HostProperties>\n<tag name="host-ip">{address}</tag>\n'.encode()
        yield f'<tag name="operating-system">Linux Kernel 5.{host % 19}</tag>\n'.encode()
        yield f'<tag name="host-fqdn">host-{host}.example.net</tag>\n</HostProperties>\n'.encode()
        for before, after in rng.choices(plugins, weights, k=count):
            service, port, protocol = rng.choice(_SERVICES)
            where = f'<ReportItem port="{port}" svc_name="{service}" protocol="{protocol}" '
            output = escape(prose(200, 2_000))
            yield f"{where}{before}<plugin_output>{output}</plugin_output>\n{after}</ReportItem>\n".encode()
        yield b"</ReportHost>\n"
        left, host = left - count, host + 1
    yield b"</Report>\n</NessusClientData_v2>\n"


def burp(items: int, seed: int = 1, body_bytes: int = 6_144) -> Iterator[bytes]:
    """A Burp Suite report with this many issues, each with one to three requests and responses in base64.

    `body_bytes` is the median size of a response.
    """
    rng = random.Random(seed)
    prose = _Prose(rng, 0.0)
    noise = "".join(rng.choices("abcdefghij <>/=\"'\n&;0123456789", k=1 << 16)).encode()
    kinds = [(0x100000 + index * 256, f"Weakness {index}", prose(600, 1_800)) for index in range(60)]
    yield b'<?xml version="1.0"?>\n<!DOCTYPE issues [\n<!ELEMENT issues (issue*)>\n'
    yield b'<!ATTLIST issues burpVersion CDATA "">\n<!ATTLIST request base64 (true|false) "false">\n]>\n'
    yield b'<issues burpVersion="2024.5" exportTime="Mon Mar 10 10:00:00 2025">\n'
    for number in range(items):
        kind, name, background = kinds[min(int(rng.expovariate(1 / 12)), len(kinds) - 1)]
        path = "/" + "/".join(rng.choice(("api", "users", "login", "café", "items")) for _ in range(rng.randint(1, 4)))
        severity = rng.choice(("High", "Medium", "Low", "Information"))
        site = f'<host ip="203.0.113.{number % 8 + 1}">https://app{number % 8}.example.net</host>'
        yield (
            f"  <issue>\n    <serialNumber>{number}</serialNumber>\n    <type>{kind}</type>\n"
            f"    <name><![CDATA[{name}]]></name>\n    {site}\n    <path><![CDATA[{path}]]></path>\n"
            f"    <location><![CDATA[{path} [q parameter]]]></location>\n    <severity>{severity}</severity>\n"
            f"    <confidence>Firm</confidence>\n"
            f"    <issueBackground><![CDATA[<p>{background}</p>]]></issueBackground>\n"
            f"    <issueDetail><![CDATA[<b>q</b> comes back.<br>{prose(100, 700)}]]></issueDetail>\n"
        ).encode()
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            yield _exchange(rng, path, noise, body_bytes)
        yield b"  </issue>\n"
    yield b"</issues>\n"


def nmap(items: int, seed: int = 1, vulners: float = 0.0) -> Iterator[bytes]:
    """An Nmap report of this many hosts, one in ten down; `vulners` is the share of open ports with that script."""
    rng = random.Random(seed)
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n<!-- Nmap 7.94 scan -->\n'
    yield b'<nmaprun scanner="nmap" args="nmap -sV" start="1741600800" version="7.94" xmloutputversion="1.05">\n'
    for number in range(items):
        address = f'<address addr="10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}" addrtype="ipv4"/>'
        if rng.random() < _DOWN:
            yield f'<host><status state="down" reason="no-response"/>\n{address}\n</host>\n'.encode()
            continue
        mac = f"52:54:00:{number >> 16 & 255:02X}:{number >> 8 & 255:02X}:{number & 255:02X}"
        ports = "".join(_port(rng, number, product, vulners) for product in rng.sample(_PRODUCTS, rng.randint(5, 8)))
        yield (
            f'<host starttime="{number}" endtime="{number + 40}">'
            f'<status state="up" reason="echo-reply" reason_ttl="63"/>\n{address}\n'
            f'<address addr="{mac}" addrtype="mac" vendor="Ship &amp; Co"/>\n'
            f'<hostnames>\n<hostname name="host-{number}.example.net" type="PTR"/>\n</hostnames>\n'
            '<ports><extraports state="closed" count="990">\n'
            '<extrareasons reason="resets" count="990"/>\n</extraports>\n'
            f'{ports}</ports>\n<os><portused state="open" proto="tcp" portid="22"/>\n'
            '<osmatch name="Linux 4.15 - 5.8" accuracy="96" line="1">'
            '<osclass type="general purpose" vendor="Linux" osfamily="Linux" osgen="4.X" accuracy="96">'
            "<cpe>cpe:/o:linux:linux_kernel:4</cpe></osclass>\n</osmatch>\n</os>\n"
            f'<uptime seconds="{rng.randint(1_000, 9_000_000)}" lastboot="Sat Mar  1 00:00:00 2025"/>\n'
            '<distance value="2"/>\n<times srtt="1480" rttvar="630" to="100000"/>\n</host>\n'
        ).encode()
    yield f'<runstats><finished time="1" exit="success"/><hosts up="0" down="0" total="{items}"/>\n'.encode()
    yield b"</runstats>\n</nmaprun>\n"


def qualys_vm_report(items: int, seed: int = 1) -> Iterator[bytes]:
    """A host report of Qualys VM with this many detections, about 40 on a host, and a glossary of 100 QIDs behind."""
    rng = random.Random(seed)
    prose = _Prose(rng, 0.01)
    yield b'<?xml version="1.0" encoding="UTF-8" ?>\n\n<!DOCTYPE ASSET_DATA_REPORT SYSTEM "https://qualys.example.net/r.dtd">\n'
    yield b"<ASSET_DATA_REPORT>\n  <HEADER>\n    <COMPANY><![CDATA[Bench]]></COMPANY>\n  </HEADER>\n  <HOST_LIST>\n"
    left, host = items, 0
    while left > 0:
        count = min(left, rng.randint(20, 60))
        address = f"10.{host >> 16 & 255}.{host >> 8 & 255}.{host & 255}"
        yield (
            f'    <HOST>\n      <IP network_id="0">{address}</IP>\n      <TRACKING_METHOD>QAGENT</TRACKING_METHOD>\n'
            "      <ASSET_TAGS>\n        <ASSET_TAG><![CDATA[Cloud Agent]]></ASSET_TAG>\n      </ASSET_TAGS>\n"
            f"      <HOST_ID>{host}</HOST_ID>\n      <DNS><![CDATA[host-{host}.example.net]]></DNS>\n"
            f"      <OPERATING_SYSTEM><![CDATA[Linux Server {host % 19}]]></OPERATING_SYSTEM>\n      <VULN_INFO_LIST>\n"
        ).encode()
        for _ in range(count):
            yield _qualys_detection(rng, prose).encode()
        yield b"      </VULN_INFO_LIST>\n    </HOST>\n"
        left, host = left - count, host + 1
    yield b"  </HOST_LIST>\n  <GLOSSARY>\n    <VULN_DETAILS_LIST>\n"
    for number in range(_QIDS):
        yield _qualys_details(rng, prose, 38_000 + number).encode()
    yield b"    </VULN_DETAILS_LIST>\n  </GLOSSARY>\n  <APPENDICES>\n  </APPENDICES>\n</ASSET_DATA_REPORT>\n"


def templated(path: Path, items: int) -> Iterator[bytes]:
    """The document of a template with this many items.

    A template is a document in parts, each after a line of its own. `@@ items` and `@@ kinds` begin a part that is
    repeated, for every item and for each of 50 kinds; `@@ end` begins one that stands once, as the first does. A
    separator may follow the word: `@@ items ,`. In a repeated part `{n}` is the number from 0 and `{kind}` the kind.
    """
    head, *parts = re.split(r"^@@ ", path.read_text("utf-8"), flags=re.MULTILINE)
    yield head.encode()
    for part in parts:
        order, _, text = part.partition("\n")
        what, _, separator = order.partition(" ")
        count = {"items": items, "kinds": _KINDS, "end": 1}[what]
        for number in range(count):
            filled = text.replace("{n}", str(number)).replace("{kind}", str(number % _KINDS))
            yield ((separator if number else "") + filled).encode()


DOCUMENTS: dict[str, Callable[[int], Iterator[bytes]]] = {
    "nessus": nessus,
    "burp": burp,
    "nmap": nmap,
    "nmap_assets": nmap,
    "qualys_vm_report": qualys_vm_report,
    "cc5": cc5,
    "cc5_json": cc5_json,
    **{path.stem: partial(templated, path) for path in sorted(_DATA.glob("*/*.template"))},
}


def items_for(name: str, megabytes: float) -> int:
    """How many items a document of this format needs to have this size."""
    few, many = 500, 1_500
    short, long = (sum(map(len, DOCUMENTS[name](count))) for count in (few, many))
    each = (long - short) / (many - few)
    return max(1, round((megabytes * 1e6 - short) / each) + few)


class Stream:
    """A `ByteStream` over pieces that are made as they are asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


class _Prose:
    """Texts cut from one long invented text: making each word by word takes longer than parsing it."""

    def __init__(self, rng: random.Random, odd: float) -> None:
        words = (rng.choice(_ODD) if rng.random() < odd else rng.choice(_WORDS) for _ in range(30_000))
        breaks = itertools.cycle((" ",) * 11 + ("\n",))
        self._text = "".join(word + end for word, end in zip(words, breaks, strict=False))
        self._rng = rng

    def __call__(self, low: int, high: int) -> str:
        """Text of `low` to `high` characters in lines of about 70."""
        at = self._rng.randrange(len(self._text) - high)
        return self._text[at : at + self._rng.randint(low, high)].strip()


def _plugin(rng: random.Random, prose: _Prose, number: int) -> tuple[str, str]:
    """What stands before and after the output in every item of a plugin."""
    severity = rng.choices(range(5), (60, 5, 20, 10, 5))[0]
    year = rng.randint(2010, 2024)
    flaw = rng.choice(("Overflow", "Bypass", "Leak"))
    name = quoteattr(f"Component {number % 97} < {rng.randint(1, 9)}.{rng.randint(0, 30)} {flaw}")
    before = [
        f'severity="{severity}" pluginID="{number}" pluginName={name} pluginFamily="General">\n',
        f"<description>{escape(prose(500, 1_100))}</description>\n<plugin_type>remote</plugin_type>\n",
        f"<plugin_publication_date>{year}/03/0{rng.randint(1, 9)}</plugin_publication_date>\n",
    ]
    if severity:
        before += [f"<cve>CVE-{year}-{rng.randint(1_000, 49_999)}</cve>\n" for _ in range(rng.choice((1, 1, 2, 5)))]
        before.append(f"<cvss3_base_score>{2 * severity + 1.5}</cvss3_base_score>\n<cwe>79</cwe>\n")
        before.append("<cvss3_vector>CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:L/A:N</cvss3_vector>\n")
    after = f"<see_also>https://example.net/{number}?a=1&amp;b=2</see_also>\n"
    after += f"<solution>{escape(prose(60, 260))}</solution>\n<synopsis>{escape(prose(40, 120))}</synopsis>\n"
    return "".join(before), after


def _qualys_detection(rng: random.Random, prose: _Prose) -> str:
    qid = 38_000 + min(int(rng.expovariate(1 / 25)), _QIDS - 1)
    service, port, protocol = rng.choice(_SERVICES)
    place = f"          <PORT>{port}</PORT>\n          <SERVICE>{service}</SERVICE>\n" if port else ""
    place += f"          <PROTOCOL>{protocol}</PROTOCOL>\n" if port else ""
    # Mostly a line or two; lists of files, of ciphers, of accounts now and then.
    size = rng.choice(((60, 400), (60, 400), (60, 400), (400, 3_000)))
    form, result = rng.choice(((' format="table"', "Package\tInstalled\tRequired\n"), ("", "")))
    return (
        f'        <VULN_INFO>\n          <QID id="qid_{qid}">{qid}</QID>\n          <TYPE>Vuln</TYPE>\n{place}'
        f"          <SSL>false</SSL>\n          <RESULT{form}><![CDATA[{result}{prose(*size)}]]></RESULT>\n"
        "          <FIRST_FOUND>2024-12-18T13:11:56Z</FIRST_FOUND>\n"
        "          <LAST_FOUND>2025-03-19T13:05:42Z</LAST_FOUND>\n"
        f"          <TIMES_FOUND>{rng.randint(1, 900)}</TIMES_FOUND>\n          <VULN_STATUS>Active</VULN_STATUS>\n"
        "          <CVSS_FINAL>5.5</CVSS_FINAL>\n          <CVSS3_FINAL>6.3</CVSS3_FINAL>\n        </VULN_INFO>\n"
    )


def _qualys_details(rng: random.Random, prose: _Prose, qid: int) -> str:
    year = rng.randint(2010, 2024)
    cves = "".join(
        f"          <CVE_ID>\n            <ID><![CDATA[CVE-{year}-{rng.randint(1_000, 49_999)}]]></ID>\n"
        f"            <URL><![CDATA[https://cve.example.net/{qid}]]></URL>\n          </CVE_ID>\n"
        for _ in range(rng.choice((1, 2, 5)))
    )
    return (
        f'      <VULN_DETAILS id="qid_{qid}">\n        <QID id="qid_{qid}">{qid}</QID>\n'
        f"        <TITLE>Component {qid} Flaw: A text like any other</TITLE>\n"
        f"        <SEVERITY>{rng.randint(1, 5)}</SEVERITY>\n        <CATEGORY>Local</CATEGORY>\n"
        f"        <THREAT><![CDATA[{prose(300, 1_000)}\n<P>\n{prose(60, 300)}]]></THREAT>\n"
        f"        <IMPACT><![CDATA[{prose(60, 300)}]]></IMPACT>\n"
        f"        <SOLUTION><![CDATA[{prose(60, 300)}]]></SOLUTION>\n        <PCI_FLAG>1</PCI_FLAG>\n"
        "        <CVSS_SCORE>\n          <CVSS_BASE>5</CVSS_BASE>\n          <CVSS_TEMPORAL>3.6</CVSS_TEMPORAL>\n"
        f"        </CVSS_SCORE>\n        <CVE_ID_LIST>\n{cves}        </CVE_ID_LIST>\n      </VULN_DETAILS>\n"
    )


def _exchange(rng: random.Random, path: str, noise: bytes, body_bytes: int) -> bytes:
    request = f"GET {path}?q={rng.getrandbits(40):x} HTTP/1.1\r\nHost: app.example.net\r\n\r\n".encode()
    body = bytearray(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    wanted = min(int(body_bytes * rng.lognormvariate(0, 0.8)), _BODY_LIMIT)
    while len(body) < wanted:
        at = rng.randrange(len(noise) - _NOISE_BYTES)
        body += noise[at : at + min(_NOISE_BYTES, wanted)]
    return (
        b'    <requestresponse>\n      <request method="GET" base64="true"><![CDATA['
        + base64.b64encode(request)
        + b']]></request>\n      <response base64="true"><![CDATA['
        + base64.b64encode(body)
        + b"]]></response>\n      <responseRedirected>false</responseRedirected>\n    </requestresponse>\n"
    )


def _port(rng: random.Random, host: int, product: tuple[str, int, str, str, str], vulners: float) -> str:
    name, number, software, version, cpe = product
    protocol = "udp" if number == _DNS else "tcp"
    if rng.random() < _MOVED:
        number = rng.randint(1_024, 65_535)
    state = rng.choices(("open", "filtered", "closed"), (8, 1, 1))[0]
    told = "".join(f' {key}="{value}"' for key, value in (("product", software), ("version", version)) if value)
    full = f"cpe:/a:{cpe}:{version}" if cpe and version else ""
    script = ""
    if state == "open" and name.startswith("http"):
        title = f"Site {host} &lt;home&gt; café"
        script = f'<script id="http-title" output="{title}"><elem key="title">{title}</elem>\n</script>'
    if state == "open" and full and rng.random() < vulners:
        script += _vulners(rng, full)
    listed = f"<cpe>{full}</cpe>" if full else ""
    return (
        f'<port protocol="{protocol}" portid="{number}"><state state="{state}" reason="syn-ack" reason_ttl="63"/>'
        f'<service name="{name}"{told} method="probed" conf="10">{listed}</service>{script}</port>\n'
    )


def _vulners(rng: random.Random, cpe: str) -> str:
    names = [f"CVE-{rng.randint(2010, 2024)}-{rng.randint(1_000, 29_999)}" for _ in range(12)]
    rows = [(name, f"{rng.uniform(1, 10):.1f}") for name in names]
    text = "".join(f"&#xa;    &#x9;{name}&#x9;{score}&#x9;https://vulners.com/cve/{name}" for name, score in rows)
    table = "".join(
        f'<table>\n<elem key="is_exploit">false</elem>\n<elem key="id">{name}</elem>\n<elem key="type">cve</elem>\n'
        f'<elem key="cvss">{score}</elem>\n</table>\n'
        for name, score in rows
    )
    return f'<script id="vulners" output="&#xa;  {cpe}: {text}"><table key="{cpe}">\n{table}</table>\n</script>'
