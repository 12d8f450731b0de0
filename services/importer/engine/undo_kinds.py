"""What an undo must know of a target's rows, as data. Undo itself is the engine's (engine/undo.py), written once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Table

from services.importer.engine.statements import Statements

# Columns that say who a row is and whose, not what is in it: an image that is restored leaves them as they are.
IDENTITY = ("tenant_id", "import_id")


@dataclass(frozen=True, slots=True)
class Attached:
    """Rows without an id of their own, which follow the row that `owner` names, such as the keys of an asset.

    They have a column `import_id`. `scope` is a predicate on them, as `t`, that an index serves.
    """

    table: Table
    owner: str
    scope: str


@dataclass(frozen=True, slots=True, eq=False)
class UndoKind:
    """Rows of one table that imports insert and change. They have columns `tenant_id` and `import_id`.

    `kind` is their kind in before-images and sightings, `id` the column that `row_id` there means. A table whose rows
    can change has `created_at` and `updated_at`. SQL in here calls the row `t` and may use `:tenant`, `:client`,
    `:report`, `:workspace`, `:entity_type` and `:data_source` of the import:

    - `name`: an expression for what people call the row; `<kind>.name` is the name of a parent.
    - `source` and `scope`: FROM and WHERE of all rows that the import may have inserted, so that finding those costs
      what the report or client is large, and not the tenant.
    - `fixed`: columns that a restored row keeps as they are now, because rows are told apart by them.
    - `parents`: column -> kind of the row that it refers to, which cannot go before this one.
    - `needed`: a query of row_ids that would be removed and must not be, for what a person has made needs them; in it
      `{rows}` are what is decided so far (engine/undo_plan.py).
    - `contested`: keeps rows that cannot be restored because others have what they would get back, in what is decided
      so far. What then is needed by those is its business, too.
    - `revert`: takes out of rows that are kept what no later import has said of them, and out of their later images.
      It leaves `updated_at` alone and is called before anything is handed on, with the names of `over`.
    """

    kind: str
    table: Table
    id: str
    name: str
    source: str
    scope: str
    fixed: Sequence[str] = ()
    parents: Mapping[str, str] = field(default_factory=dict)
    attached: Sequence[Attached] = ()
    needed: str | None = None
    contested: Callable[[Statements], Awaitable[None]] | None = None
    revert: Callable[[Statements], Awaitable[None]] | None = None

    @property
    def rows(self) -> str:
        """The temporary table of what is decided on these rows."""
        return f"undo_{self.kind}"

    @property
    def is_changeable(self) -> bool:
        """Whether its rows say when they were changed."""
        return "updated_at" in self.table.c

    def over(self, sql: Statements) -> Statements:
        """Statements about this kind."""
        contents = [column.name for column in self.table.c if column.name not in {*IDENTITY, self.id, *self.fixed}]
        return sql.named(
            {
                "kind": self.kind,
                "table": self.table.name,
                "id": self.id,
                "name": self.name,
                "source": self.source,
                "scope": self.scope,
                "rows": self.rows,
                "created": "t.created_at" if self.is_changeable else "NULL::timestamptz",
                "updated": "t.updated_at" if self.is_changeable else "NULL::timestamptz",
                "contents": ", ".join(f'"{name}"' for name in contents),
                "image_contents": ", ".join(f'r."{name}"' for name in contents),
            }
        )
