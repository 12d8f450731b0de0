"""What may be asked of a database: a table, or one statement that only reads.

The check is for early and clear words; what holds is the transaction, which only reads (databases.py).
"""

from __future__ import annotations

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from services.fetcher.failures import SourceError

# Whatever changes something, or keeps others from it, wherever it stands in the statement.
WRITING = (
    exp.Into,
    exp.Lock,
    exp.DML,
    exp.DDL,
    exp.Command,
    exp.Alter,
    exp.Drop,
    exp.Set,
    exp.Use,
    exp.Transaction,
    exp.Commit,
    exp.Rollback,
    exp.Copy,
    exp.LoadData,
    exp.TruncateTable,
    exp.Merge,
)
# A SELECT is one of their kind, like what it consists of; and these read.
READING = (exp.Query,)
# MySQL carries out what stands in such a comment; the check would not see it.
CARRIED_OUT = re.compile(r"/\*M?!")
SHOWN = 200


def checked_query(text: str, dialect: str) -> str:
    """The statement as it was given, when it is one SELECT. Raises SourceError QUERY_INVALID."""
    if CARRIED_OUT.search(text):
        raise _invalid("it has a comment that is carried out")
    try:
        statements = [each for each in sqlglot.parse(text, read=dialect) if each is not None]
    except SqlglotError as error:
        raise _invalid(f"it cannot be read: {_words(error)}") from None
    except RecursionError:
        raise _invalid("it is nested too deep") from None
    if len(statements) != 1:
        raise _invalid("it must be one statement")
    statement = statements[0]
    if not isinstance(statement, exp.Select | exp.SetOperation | exp.Subquery):
        raise _invalid("it must be a SELECT")
    for node in statement.walk():
        if isinstance(node, WRITING) and not isinstance(node, READING):
            raise _invalid(f"it must only read, and has {node.key.upper()} in it")
    return text.strip().rstrip(";")


def _words(error: SqlglotError) -> str:
    return str(error).splitlines()[0][:SHOWN]


def _invalid(why: str) -> SourceError:
    return SourceError("QUERY_INVALID", f"The query is refused: {why}.")
