"""What the walk over a Nessus report hands to `read`: hosts, definitions of plugins, and items that join the two."""

from __future__ import annotations

from typing import NamedTuple

from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.format import RecordError
from services.importer.targets.findings.records import Asset, Caution, Finding


class Host:
    """A `ReportHost`. `asset` is kept here once made, so that every item of the host has the same object.

    `tags` are its properties, `labels` what people marked it with, which only tables have.
    """

    __slots__ = ("asset", "labels", "name", "tags")

    def __init__(self, name: str) -> None:
        self.name = name
        self.tags: dict[str, str] = {}
        self.labels: tuple[str, ...] = ()
        self.asset: Asset | None = None


class Made(NamedTuple):
    """What a definition gives: the finding, a note for each host it is found on, cautions."""

    finding: Finding
    notes: str
    cautions: tuple[Caution, ...]


class Definition:
    """What is the same for a plugin on every host. `made` keeps what was read from it: one object for all items."""

    __slots__ = ("family", "made", "name", "plugin_id", "severity", "texts")

    def __init__(self, told: tuple[str, ...], texts: tuple[tuple[str, str], ...]) -> None:
        self.plugin_id, self.name, self.family, self.severity = told
        self.texts = texts
        self.made: Made | RecordError | None = None


class ReportItem:
    """One plugin on one port of one host; without a definition it is a host that has no items.

    `others` are texts about this host besides the output.
    """

    __slots__ = ("definition", "host", "notes", "others", "output", "port", "protocol", "service")

    def __init__(
        self,
        host: Host,
        definition: Definition | None,
        port: str = "0",
        service: str = "",
        protocol: str = "",
        output: str = "",
        others: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.host = host
        self.definition = definition
        self.port = port
        self.service = service
        self.protocol = protocol
        self.output = output
        self.others = others
        self.notes: tuple[Note, ...] = ()
