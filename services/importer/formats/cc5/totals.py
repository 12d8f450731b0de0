"""What the footer says against what was read: the guard against files that were cut or changed on their way."""

from __future__ import annotations

import re
from collections.abc import Callable

from services.importer.formats.kit.format import DamagedFile, Position
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.records import Caution, Footer, RecordsRecord

_COUNT = re.compile(r"[0-9]{1,18}")
_CHECKED = re.compile(r"(sha256|crc32):(.*)", re.IGNORECASE | re.DOTALL)

Checksum = Callable[[str], str]


class Totals:
    """Of one file. `count` is the number of rows 10 and 90 so far, good and bad."""

    def __init__(self, demands: Demands) -> None:
        self._is_required = demands.require_footer
        self.count = 0

    def compared(self, count: str, validation: str, checksum: Checksum | None, at: Position) -> list[RecordsRecord]:
        """The footer. Raises `DamagedFile` where it does not fit the rows; a wrong count may be allowed.

        `checksum` gives that of all bytes before the footer, by its algorithm (`sha256`, `crc32`).
        """
        if not _COUNT.fullmatch(count):
            raise DamagedFile("FOOTER_INVALID", f'The control total is no number: "{count[:40]}".', at)
        if checksum is not None and (checked := _CHECKED.fullmatch(validation)):
            algorithm = checked[1].lower()
            if checked[2].strip().lower() != checksum(algorithm):
                message = f"The {algorithm} of all that stands before the footer is not that of the footer."
                raise DamagedFile("VALIDATION_CODE_MISMATCH", message, at)
        footer = Footer(int(count), validation)
        if int(count) == self.count:
            return [footer]
        message = f"The control total is {int(count)}, and the file has {self.count} rows 10 and 90."
        return [footer, self._caution("FOOTER_COUNT_MISMATCH", message, at)]

    def missing(self, at: Position) -> list[RecordsRecord]:
        """For a file without a footer: one of what was counted, where that is allowed. Raises `DamagedFile`."""
        message = "The file ends without its footer (row 99 with the control total)."
        return [Footer(self.count, ""), self._caution("FOOTER_MISSING", message, at)]

    def _caution(self, code: str, message: str, at: Position) -> Caution:
        if self._is_required:
            raise DamagedFile(code, message, at)
        return Caution(code, message)
