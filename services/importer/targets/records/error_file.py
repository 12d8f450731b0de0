"""The rows of a sync file that were rejected, as a sync file."""

from __future__ import annotations

# The control total counts rows of these types, good and bad, and no others (formats/cc5).
COUNTED = frozenset({"10", "90"})


class SyncErrorFile:
    """Rows as they stood in the file; of a file of the JSON twin as they would have stood in the other."""

    def is_counted(self, raw: str) -> bool:
        """Whether the footer counts this row."""
        return raw.partition("|")[0] in COUNTED

    def footer(self, count: int) -> str:
        """Row 99. There is no validation code in it: whoever corrects a row would have to make a new one."""
        return f"99|{count}\n"
