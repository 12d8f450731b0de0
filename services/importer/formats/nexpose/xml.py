"""Reports of Nexpose and InsightVM in XML: the full form (XML export 1.0 and 2.0) and the simple one.

Known from public exports; statuses and result codes from Rapid7's documentation. The attributes of CVSS 3 and 4 scores
are assumed to be named like those of version 2.
"""

from __future__ import annotations

from services.importer.formats.kit.format import Format
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.nexpose.read import read
from services.importer.formats.nexpose.walk import ROOTS, walk


def sniff(head: bytes) -> bool:
    return xml_root(head)[0] in ROOTS


FORMAT = Format(
    name="nexpose",
    title="a Nexpose report",
    family="nexpose",
    syntax="xml",
    extensions=(".xml",),
    sources=("nexpose",),
    sniff=sniff,
    walk=walk,
    read=read,
)
