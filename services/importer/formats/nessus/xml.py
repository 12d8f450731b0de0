"""Nessus reports, version 2 (`.nessus`)."""

from __future__ import annotations

from services.importer.formats.kit.format import Format
from services.importer.formats.nessus.read import read
from services.importer.formats.nessus.walk import sniff, walk

FORMAT = Format(
    name="nessus",
    title="a Nessus report",
    family="nessus",
    syntax="xml",
    extensions=(".nessus", ".xml"),
    sources=("nessus",),
    sniff=sniff,
    walk=walk,
    read=read,
)
