from __future__ import annotations

import pytest

from services.fetcher.failures import SourceError
from services.fetcher.queries import checked_query


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "select a, b from c where d = ';' order by e;",
        "WITH x AS (SELECT 1 AS a) SELECT * FROM x",
        "SELECT 1 UNION ALL SELECT 2",
        "SELECT 'INSERT INTO a', \"delete\" FROM b -- update",
    ],
)
@pytest.mark.parametrize("dialect", ["postgres", "mysql"])
def test_one_select_is_taken_as_it_stands(query: str, dialect: str) -> None:
    assert checked_query(query, dialect) == query.rstrip(";")


@pytest.mark.parametrize(
    "query",
    [
        *(
            "",
            ";",
            "SELECT 1; SELECT 2",
            "INSERT INTO a SELECT 1",
            "UPDATE a SET b = 1",
            "DELETE FROM a",
            "DROP TABLE a",
        ),
        *(
            "WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x",
            "WITH x AS (UPDATE a SET b = 1 RETURNING b) TABLE x",
        ),
        *(
            "SELECT * INTO b FROM a",
            "SELECT * FROM a FOR UPDATE",
            "SELECT * FROM a FOR SHARE",
            "CALL a()",
            "DO $$ x $$",
        ),
        *("COPY a TO '/tmp/a'", "COPY a TO PROGRAM 'id'", "SET x = 1", "SHOW x", "EXPLAIN ANALYZE SELECT 1", "LOCK a"),
        *("SELECT * FROM a INTO OUTFILE '/tmp/a'", "SELECT /*!50000 1 INTO OUTFILE '/tmp/a', */ 2", "SELECT (", "/*"),
        *("SELECT " + "(" * 5_000 + "1" + ")" * 5_000, "TRUNCATE a", "GRANT ALL ON a TO b", "VACUUM a", "BEGIN"),
    ],
)
@pytest.mark.parametrize("dialect", ["postgres", "mysql"])
def test_whatever_is_no_select_or_would_write_is_refused(query: str, dialect: str) -> None:
    with pytest.raises(SourceError) as failed:
        checked_query(query, dialect)
    assert failed.value.code == "QUERY_INVALID"
