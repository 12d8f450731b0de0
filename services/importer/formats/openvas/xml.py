"""Reports and results of OpenVAS and Greenbone in XML.

Known from public exports of versions 6 to 24: reports (one report inside another), the anonymous report, answers of the
Greenbone Management Protocol, one result alone.
"""

from __future__ import annotations

import re

from services.importer.formats.kit.format import Format
from services.importer.formats.kit.looks import text_of, xml_root
from services.importer.formats.openvas.read import read
from services.importer.formats.openvas.walk import walk

_INSIDE = re.compile(r"<(?:report|results|report_format|gmp|omp)[\s>/]")


def sniff(head: bytes) -> bool:
    root, attributes = xml_root(head)
    if root == "report":
        _, _, inside = text_of(head).partition("<report")
        return "format_id=" in attributes or _INSIDE.search(inside) is not None
    if root == "result":
        return "<nvt" in text_of(head)
    return root in {"get_reports_response", "get_results_response"}


FORMAT = Format(
    name="openvas",
    title="an OpenVAS report",
    family="openvas",
    syntax="xml",
    extensions=(".xml",),
    sources=("openvas",),
    sniff=sniff,
    walk=walk,
    read=read,
)
