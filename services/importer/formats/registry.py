"""The one list of formats, and which of them each public source name takes.

A source is what a client names in its request: a tool, not a file format. The list of names is PlexTrac's of 2024 for
findings (25 of them) and the asset imports of its Nmap page; most have no format yet, and are refused with a reason
rather than unknown.
"""

from __future__ import annotations

from types import MappingProxyType

from services.importer.formats.burp.read import read as read_burp
from services.importer.formats.burp.walk import sniff as sniff_burp
from services.importer.formats.burp.walk import walk as walk_burp
from services.importer.formats.kit.format import Format, WrongFormat
from services.importer.formats.kit.looks import describe
from services.importer.formats.nessus.read import read as read_nessus
from services.importer.formats.nessus.walk import sniff as sniff_nessus
from services.importer.formats.nessus.walk import walk as walk_nessus
from services.importer.formats.nmap.read import read as read_nmap
from services.importer.formats.nmap.read import read_assets as read_nmap_assets
from services.importer.formats.nmap.walk import sniff as sniff_nmap
from services.importer.formats.nmap.walk import walk as walk_nmap

FINDINGS = "findings"

NESSUS = Format("nessus", "nessus", FINDINGS, sniff_nessus, walk_nessus, read_nessus)
BURP = Format("burp", "burp", FINDINGS, sniff_burp, walk_burp, read_burp)
NMAP = Format("nmap", "nmap", FINDINGS, sniff_nmap, walk_nmap, read_nmap)
NMAP_ASSETS = Format("nmap_assets", "nmap", FINDINGS, sniff_nmap, walk_nmap, read_nmap_assets)

FORMATS = (NESSUS, BURP, NMAP, NMAP_ASSETS)

BY_NAME = MappingProxyType({each.name: each for each in FORMATS})

# What files of each format are called in messages.
_TITLES = MappingProxyType(
    {
        NESSUS.name: "a Nessus report",
        BURP.name: "a Burp Suite report",
        NMAP.name: "an Nmap report",
        NMAP_ASSETS.name: "an Nmap report",
    }
)

# Names of sources of findings, each with the formats that it takes; the first whose sniff says yes is used.
FINDING_SOURCES = MappingProxyType(
    {
        "acunetix": (),
        "burp": (BURP,),
        "burphtml": (),
        "checkmarx": (),
        "coreimpact": (),
        "custom": (),
        "hclappscan": (),
        "horizon": (),
        "invicti": (),
        "nessus": (NESSUS,),
        "netsparker": (),
        "nexpose": (),
        "nipper": (),
        "nmap": (NMAP,),
        "nodeware": (),
        "nodezero": (),
        "offlinecsv": (),
        "openvas": (),
        "owaspzap": (),
        "pentera": (),
        "ptrac": (),
        "qualys": (),
        "rapidfire": (),
        "scythe": (),
        "veracode": (),
    }
)

DISPLAY_NAMES = MappingProxyType(
    {
        "acunetix": "Acunetix",
        "burp": "Burp Suite",
        "burphtml": "Burp Suite (HTML)",
        "checkmarx": "Checkmarx",
        "coreimpact": "Core Impact",
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

# Names of sources of client assets.
ASSET_SOURCES = MappingProxyType({"nmap": (NMAP_ASSETS,), "nmap-xml": (NMAP_ASSETS,), "nmap-csv": ()})


def resolve(source: str, head: bytes, *, assets: bool = False) -> Format:
    """The format of a file that begins with `head` and was sent for `source`, a name of the lists above.

    Raises `KeyError` for a name that is in neither list, and `WrongFormat`, naming what the file looks like, when none
    of the source's formats takes it.
    """
    accepted = (ASSET_SOURCES if assets else FINDING_SOURCES)[source]
    for each in accepted:
        if each.sniff(head):
            return each
    if not accepted:
        raise WrongFormat(f'Files of the source "{source}" cannot be imported yet.')
    wanted = " or ".join(dict.fromkeys(_TITLES[each.name] for each in accepted))
    raise WrongFormat(f'The source "{source}" takes {wanted}; the file looks like {_look(head)}.')


def _look(head: bytes) -> str:
    return next((_TITLES[each.name] for each in FORMATS if each.sniff(head)), "") or describe(head)
