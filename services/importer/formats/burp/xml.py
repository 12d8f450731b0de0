"""Issue reports of Burp Suite in XML."""

from __future__ import annotations

from services.importer.formats.burp.read import read
from services.importer.formats.burp.walk import sniff, walk
from services.importer.formats.kit.format import Format

FORMAT = Format(
    name="burp",
    title="a Burp Suite report",
    family="burp",
    syntax="xml",
    extensions=(".xml",),
    sources=("burp",),
    sniff=sniff,
    walk=walk,
    read=read,
)
