"""The one list of formats, and which of them each public source name takes.

A source is what a client names in its request: a tool, not a file format. The names are PlexTrac's of 2024 for findings
and the asset imports of its Nmap page, and one of our own for the tool of its list that has none; `cc5` is AppFile's.
The sources of objects are no names of clients: an import source has a type, and what it sends is one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType

from services.importer.formats import asset_csv, blindspot, core_impact, invicti, nipper, nodeware, offlinecsv, scythe
from services.importer.formats.acunetix import json as acunetix_json
from services.importer.formats.acunetix import xml as acunetix_xml
from services.importer.formats.appscan import csv as appscan_csv
from services.importer.formats.appscan import xml as appscan_xml
from services.importer.formats.burp import dast_html as burp_dast_html
from services.importer.formats.burp import html as burp_html
from services.importer.formats.burp import json as burp_json
from services.importer.formats.burp import xml as burp_xml
from services.importer.formats.cc5 import json as cc5_json
from services.importer.formats.cc5 import text as cc5_text
from services.importer.formats.checkmarx import cxflow as checkmarx_cxflow
from services.importer.formats.checkmarx import gitlab as checkmarx_gitlab
from services.importer.formats.checkmarx import one as checkmarx_one
from services.importer.formats.checkmarx import osa as checkmarx_osa
from services.importer.formats.checkmarx import report as checkmarx_report
from services.importer.formats.checkmarx import sca as checkmarx_sca
from services.importer.formats.checkmarx import xml as checkmarx_xml
from services.importer.formats.issues360 import json as issues360_json
from services.importer.formats.issues360 import xml as issues360_xml
from services.importer.formats.kit.format import Format, WrongFormat
from services.importer.formats.kit.looks import describe
from services.importer.formats.nessus import csv as nessus_csv
from services.importer.formats.nessus import xml as nessus_xml
from services.importer.formats.nexpose import xml as nexpose_xml
from services.importer.formats.nmap import xml as nmap_xml
from services.importer.formats.nodezero import csv as nodezero_csv
from services.importer.formats.nodezero import json as nodezero_json
from services.importer.formats.objects import csv as objects_csv
from services.importer.formats.objects import json as objects_json
from services.importer.formats.objects.mapping import documents as object_documents
from services.importer.formats.objects.mapping import invalid as object_invalid
from services.importer.formats.objects.mapping import plans as object_plans
from services.importer.formats.openvas import csv as openvas_csv
from services.importer.formats.openvas import xml as openvas_xml
from services.importer.formats.pentera import csv as pentera_csv
from services.importer.formats.pentera import json as pentera_json
from services.importer.formats.ptrac import json as ptrac_json
from services.importer.formats.qualys_vm import api as qualys_vm_api
from services.importer.formats.qualys_vm import csv as qualys_vm_csv
from services.importer.formats.qualys_vm import report as qualys_vm_report
from services.importer.formats.qualys_vm import scan as qualys_vm_scan
from services.importer.formats.qualys_was import api as qualys_was_api
from services.importer.formats.qualys_was import report as qualys_was_report
from services.importer.formats.rapidfire import csv as rapidfire_csv
from services.importer.formats.rapidfire import xml as rapidfire_xml
from services.importer.formats.veracode import csv as veracode_csv
from services.importer.formats.veracode import json as veracode_json
from services.importer.formats.veracode import xml as veracode_xml
from services.importer.formats.zap import json as zap_json
from services.importer.formats.zap import xml as zap_xml

# Where a source takes several, the first whose sniff says yes is used.
FORMATS: tuple[Format, ...] = (
    nessus_xml.FORMAT,
    nessus_csv.FORMAT,
    burp_xml.FORMAT,
    burp_html.FORMAT,
    burp_dast_html.FORMAT,
    burp_json.FORMAT,
    *nmap_xml.FORMATS,
    zap_xml.FORMAT,
    zap_json.FORMAT,
    veracode_xml.FORMAT,
    veracode_json.FORMAT,
    veracode_csv.FORMAT,
    acunetix_xml.FORMAT,
    acunetix_json.FORMAT,
    *issues360_xml.FORMATS,
    *issues360_json.FORMATS,
    ptrac_json.FORMAT,
    qualys_vm_report.FORMAT,
    qualys_vm_scan.FORMAT,
    qualys_vm_api.FORMAT,
    qualys_vm_csv.FORMAT,
    qualys_was_report.FORMAT,
    qualys_was_api.FORMAT,
    appscan_xml.FORMAT,
    appscan_csv.FORMAT,
    offlinecsv.FORMAT,
    asset_csv.FORMAT,
    rapidfire_csv.FORMAT,
    rapidfire_xml.FORMAT,
    openvas_xml.FORMAT,
    openvas_csv.FORMAT,
    nexpose_xml.FORMAT,
    nipper.FORMAT,
    core_impact.FORMAT,
    invicti.FORMAT,
    *blindspot.FORMATS,
    checkmarx_xml.FORMAT,
    checkmarx_one.FORMAT,
    checkmarx_report.FORMAT,
    checkmarx_gitlab.FORMAT,
    checkmarx_sca.FORMAT,
    checkmarx_osa.FORMAT,
    checkmarx_cxflow.FORMAT,
    pentera_json.FORMAT,
    pentera_csv.FORMAT,
    nodezero_json.FORMAT,
    nodezero_csv.FORMAT,
    *scythe.FORMATS,
    *nodeware.FORMATS,
    cc5_text.FORMAT,
    cc5_json.FORMAT,
)

# Files of any columns and members: nothing in one tells whose it is, so they are found by their source alone.
TOLD: tuple[Format, ...] = (objects_csv.FORMAT, objects_json.DOCUMENTS, objects_json.CHUNKS)

BY_NAME = MappingProxyType({each.name: each for each in (*FORMATS, *TOLD)})

# Public names of sources, and what people call them.
DISPLAY_NAMES = MappingProxyType(
    {
        "acunetix": "Acunetix",
        "blindspot": "BlindSPOT",
        "burp": "Burp Suite",
        "burphtml": "Burp Suite (HTML)",
        "cc5": "AppFile (cc5)",
        "checkmarx": "Checkmarx",
        "coreimpact": "Core Impact",
        "csv": "Assets (CSV)",
        "custom": "Custom",
        "hclappscan": "HCL AppScan",
        "horizon": "NodeZero (Horizon3)",
        "invicti": "Invicti",
        "nessus": "Nessus",
        "netsparker": "Netsparker",
        "nexpose": "Nexpose",
        "nipper": "Nipper",
        "nmap": "Nmap",
        "nmap-csv": "Nmap Assets (CSV)",
        "nmap-xml": "Nmap Assets (XML)",
        "nodeware": "Nodeware",
        "nodezero": "NodeZero",
        "objects-chunk": "Objects (data chunk)",
        "objects-csv": "Objects (CSV)",
        "objects-json": "Objects (JSON)",
        "offlinecsv": "CSV",
        "openvas": "OpenVAS",
        "owaspzap": "OWASP ZAP",
        "pentera": "Pentera",
        "ptrac": "PlexTrac",
        "qualys": "Qualys",
        "rapidfire": "RapidFire",
        "scythe": "Scythe",
        "veracode": "Veracode",
    }
)


def _by_source(sources_of: Callable[[Format], Iterable[str]]) -> MappingProxyType[str, tuple[Format, ...]]:
    found: dict[str, tuple[Format, ...]] = {}
    for each in (*FORMATS, *TOLD):
        for slug in sources_of(each):
            found[slug] = (*found.get(slug, ()), each)
    return MappingProxyType(dict(sorted(found.items())))


# The formats of each source: of findings, of client assets, of records, and of objects. The last two share no name with
# the others.
FINDING_SOURCES = _by_source(lambda each: each.sources)
ASSET_SOURCES = _by_source(lambda each: each.asset_sources)
RECORD_SOURCES = _by_source(lambda each: each.record_sources)
OBJECT_SOURCES = _by_source(lambda each: each.object_sources)

# How objects are mapped, for those who save a mapping.
InvalidMapping = object_invalid.InvalidMapping
read_object_rule = object_documents.read_attribute_mapping
table_reader = object_plans.table_reader
array_readers = object_plans.array_readers


def resolve(source: str, head: bytes, *, assets: bool = False) -> Format:
    """The format of a file that begins with `head` and was sent for `source`, a name of the lists above.

    Raises `KeyError` for a name that is in none of them, and `WrongFormat`, naming what the file looks like, when none
    of the source's formats takes it.
    """
    found = find(source, head, assets=assets)
    if found is None:
        raise WrongFormat(f"{wanted(source, assets=assets)}; the file looks like {look(head)}.")
    return found


def find(source: str, head: bytes, *, assets: bool = False) -> Format | None:
    """As `resolve`; None when none of the source's formats takes the file."""
    return next((each for each in _accepted(source, assets) if each.sniff(head)), None)


def wanted(source: str, *, assets: bool = False) -> str:
    """What a source takes, as the beginning of a sentence."""
    titles = " or ".join(dict.fromkeys(each.title for each in _accepted(source, assets)))
    return f'The source "{source}" takes {titles}'


def _accepted(source: str, assets: bool) -> tuple[Format, ...]:
    return (
        RECORD_SOURCES.get(source)
        or OBJECT_SOURCES.get(source)
        or (ASSET_SOURCES if assets else FINDING_SOURCES)[source]
    )


def recognise(head: bytes) -> tuple[Format, ...]:
    """The formats that take a file that begins with `head`, in their order."""
    return tuple(each for each in FORMATS if each.sniff(head))


def look(head: bytes) -> str:
    """What a file that begins with `head` looks like, as the end of a sentence."""
    return next((each.title for each in FORMATS if each.sniff(head)), "") or describe(head)
