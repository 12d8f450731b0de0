"""Nmap reports in XML: what the vulners script found, and the hosts alone."""

from __future__ import annotations

from services.importer.formats.kit.format import Format
from services.importer.formats.nmap.read import read, read_assets
from services.importer.formats.nmap.walk import sniff, walk

FINDINGS = Format(
    name="nmap",
    title="an Nmap report",
    family="nmap",
    syntax="xml",
    extensions=(".xml",),
    sources=("nmap",),
    sniff=sniff,
    walk=walk,
    read=read,
)
ASSETS = Format(
    name="nmap_assets",
    title="an Nmap report",
    family="nmap",
    syntax="xml",
    extensions=(".xml",),
    asset_sources=("nmap", "nmap-xml"),
    sniff=sniff,
    walk=walk,
    read=read_assets,
)
FORMATS = (FINDINGS, ASSETS)
