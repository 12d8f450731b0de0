"""TEMPORARY, by the lead, to exercise the engine; helper B replaces this file.

Others use: registry.SOURCES (each: slug, display_name, report_formats, asset_formats: tuples of format names) and
registry.resolve(slug, head, assets_only=bool) -> Format.
"""
from dataclasses import dataclass
from services.importer.formats.kit.format import Format
from services.importer.formats.nessus import read as r, walk as w
NESSUS = Format("nessus","nessus","findings", lambda h: True, w.walk, r.read)
@dataclass(frozen=True)
class Source:
    slug: str; display_name: str; report_formats: tuple = (); asset_formats: tuple = ()
SOURCES = (Source("nessus","Nessus",("nessus",)),)
def resolve(slug, head, *, assets_only=False): return NESSUS
