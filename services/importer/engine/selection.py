"""Which members of an archive are imported: those that the source takes, all of one tool."""

from __future__ import annotations

from services.importer.engine.archives.opening import is_gzip, is_zip
from services.importer.engine.archives.zip import Member
from services.importer.formats import registry
from services.importer.formats.kit.format import DamagedFile, Format, WrongFormat

NAMED = 10

# Written by macOS beside each file, for itself.
_FINDERS = "__MACOSX/"


class Selection:
    """Chooses members as they come, and remembers what was left out.

    Archives in archives are left out like anything else that the source does not take.
    """

    def __init__(self, source: str, *, assets: bool) -> None:
        self._source = source
        self._assets = assets
        self._first: tuple[str, Format] | None = None
        self._left_out: list[str] = []
        self._left_out_count = 0

    def format_of(self, member: Member, head: bytes) -> Format | None:
        """The format of a member that begins with `head`; None when it is to be left out.

        Raises `DamagedFile` (`ARCHIVE_MIXED`) when it is of another tool than those before it.
        """
        if (not head and member.name.endswith("/")) or member.name.startswith(_FINDERS):
            return None
        format_ = registry.find(self._source, head, assets=self._assets)
        if format_ is None:
            self._leave_out(member.name, head)
            return None
        if self._first is None:
            self._first = member.name, format_
        name, first = self._first
        if format_.family != first.family:
            told = f'"{name}" is {first.title}, "{member.name}" is {format_.title}'
            raise DamagedFile("ARCHIVE_MIXED", f"The archive holds files of several tools: {told}.")
        return format_

    def check(self) -> None:
        """After the last member: raises `WrongFormat` when none was taken."""
        if self._first is None:
            held = self._named() if self._left_out else "no file"
            wanted = registry.wanted(self._source, assets=self._assets)
            raise WrongFormat(f"{wanted}; the archive holds {held}.")

    @property
    def cautions(self) -> list[tuple[str, str, int]]:
        """Code, message and count of what was left out, if anything was."""
        if not self._left_out:
            return []
        return [("MEMBER_LEFT_OUT", f"Left out of the archive: {self._named()}.", self._left_out_count)]

    def _leave_out(self, name: str, head: bytes) -> None:
        self._left_out_count += 1
        if len(self._left_out) < NAMED:
            nested = ", not opened within another" if is_gzip(head) or is_zip(head) else ""
            self._left_out.append(f'"{name}" ({registry.look(head)}{nested})')

    def _named(self) -> str:
        more = self._left_out_count - len(self._left_out)
        return ", ".join(self._left_out) + (f" and {more} more" if more else "")
