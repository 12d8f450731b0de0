"""What an undo has done, or would do, told to people."""

from __future__ import annotations

from cli.output import Output
from cli.shapes import ImportDetail

WHY = {
    "SEEN_LATER": "a later import has it too",
    "CHANGED_LATER": "a later import changed it",
    "EDITED": "somebody has edited it",
    "IN_USE": "something that is kept needs it",
    "VALUE_TAKEN": "another one has its value or identifiers now",
}


def show(out: Output, detail: ImportDetail, took: str) -> None:
    """What was removed, restored and kept, and why."""
    out.facts(
        [
            ("Undo", detail.id),
            ("Of", detail.origin_import_id),
            ("Result", detail.status),
            ("Reason", detail.error_status),
            ("File", detail.name),
            ("From", " / ".join(name for name in (detail.client_name, detail.report_name) if name)),
            ("Took", took),
        ]
    )
    if not detail.has_succeeded:
        return
    rows = [
        (each.action, each.kind.replace("_", " "), f"{each.count:,}", WHY.get(each.reason, each.reason))
        for each in detail.undo
    ]
    if rows:
        out.table(["What", "Kind", "Rows ", "Why"], rows)
    else:
        out.line("There was nothing to take back.")
    if detail.options.dry_run:
        out.hint("This was a dry run: nothing was changed.")
