from __future__ import annotations

import ssl

import pytest
from pymysql.constants import CR, ER
from pymysql.err import InterfaceError, OperationalError, ProgrammingError

from services.fetcher.mysql import failure


@pytest.mark.parametrize(
    ("error", "code", "is_retryable"),
    [
        (OperationalError(ER.ACCESS_DENIED_ERROR, "no", sqlstate="28000"), "AUTHENTICATION_FAILED", False),
        (OperationalError(ER.DBACCESS_DENIED_ERROR, "no", sqlstate="42000"), "AUTHENTICATION_FAILED", False),
        (OperationalError(CR.CR_AUTH_PLUGIN_CANNOT_LOAD, "no"), "AUTHENTICATION_FAILED", False),
        (OperationalError(CR.CR_SSL_CONNECTION_ERROR, "no"), "TLS_FAILED", False),
        (ProgrammingError(ER.NO_SUCH_TABLE, "no such table", sqlstate="42S02"), "QUERY_INVALID", False),
        (OperationalError(ER.BAD_FIELD_ERROR, "no such column", sqlstate="42S22"), "QUERY_INVALID", False),
        (OperationalError(ER.TABLEACCESS_DENIED_ERROR, "denied", sqlstate="42000"), "QUERY_INVALID", False),
        (OperationalError(1792, "only reads", sqlstate="25006"), "QUERY_INVALID", False),
        (OperationalError(3024, "too long", sqlstate="HY000"), "SOURCE_TIMEOUT", False),
        (OperationalError(1969, "too long", sqlstate="70100"), "SOURCE_TIMEOUT", False),
        (OperationalError(ER.UNKNOWN_SYSTEM_VARIABLE, "no", sqlstate="HY000"), "SOURCE_REFUSED", False),
        (OperationalError(ER.CON_COUNT_ERROR, "too many", sqlstate="08004"), "SOURCE_UNAVAILABLE", True),
        (OperationalError(ER.USER_LIMIT_REACHED, "too many", sqlstate="42000"), "SOURCE_UNAVAILABLE", True),
        (OperationalError(CR.CR_SERVER_LOST, "gone"), "SOURCE_UNAVAILABLE", True),
        (InterfaceError("Packet sequence number wrong"), "SOURCE_UNAVAILABLE", True),
        (ConnectionRefusedError(), "CONNECTION_REFUSED", True),
        (ConnectionResetError(), "SOURCE_UNAVAILABLE", True),
        (TimeoutError(), "SOURCE_TIMEOUT", True),
        (ssl.SSLCertVerificationError(), "TLS_FAILED", False),
    ],
    ids=str,
)
def test_what_a_server_refuses_for_good_is_not_tried_again(error: BaseException, code: str, is_retryable: bool) -> None:
    found = failure(error)
    assert (found.code, found.is_retryable) == (code, is_retryable)


@pytest.mark.parametrize(
    ("cause", "code"), [(TimeoutError(), "SOURCE_TIMEOUT"), (ssl.SSLError(), "TLS_FAILED")], ids=str
)
def test_what_the_driver_makes_of_it_is_told_by_its_cause(cause: OSError, code: str) -> None:
    error = OperationalError(CR.CR_CONN_HOST_ERROR, "Can't connect")
    error.__context__ = cause
    assert failure(error).code == code


def test_the_address_that_the_server_sees_is_shown_to_nobody() -> None:
    words = "SELECT command denied to user 'reader'@'10.1.2.3' for table `cmdb`.`hosts`"
    told = failure(OperationalError(ER.TABLEACCESS_DENIED_ERROR, words, sqlstate="42000")).message
    assert told == "The database refuses the query: SELECT command denied for table `cmdb`.`hosts`."
