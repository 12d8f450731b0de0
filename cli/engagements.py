"""Clients and reports, found by the id or the name that a person gives, and made when asked to."""

from __future__ import annotations

from dataclasses import dataclass

from cli.errors import CliError, ExitCode
from cli.gateway import Gateway
from cli.shapes import Row


@dataclass(frozen=True)
class Named:
    id: int
    name: str
    is_new: bool = False


def resolve_client(gateway: Gateway, wanted: str, *, create: bool = False) -> Named:
    found = pick("client", wanted, named(gateway.client_rows()))
    if found is None and create:
        return Named(gateway.create_client(wanted), wanted, is_new=True)
    if found is None:
        text = f"There is no client {wanted!r}. `hythe clients` lists them, --create makes it."
        raise CliError(text, ExitCode.USAGE)
    return found


def resolve_report(gateway: Gateway, client: Named, wanted: str, *, create: bool = False) -> Named:
    found = pick("report", wanted, [] if client.is_new else named(gateway.report_rows(client.id)))
    if found is None and create:
        return Named(gateway.create_report(client.id, wanted), wanted, is_new=True)
    if found is None:
        text = (
            f"Client {client.name!r} has no report {wanted!r}. "
            f"`hythe reports --client {client.id}` lists them, --create makes it."
        )
        raise CliError(text, ExitCode.USAGE)
    return found


def named(rows: list[Row]) -> list[Named]:
    return [Named(int(row.data[0]), str(row.data[1])) for row in rows]


def pick(kind: str, wanted: str, known: list[Named]) -> Named | None:
    """By id, else by exact name, else by a name that differs in case only. Several of the same name are an error."""
    if wanted.isdecimal() and (same := [one for one in known if one.id == int(wanted)]):
        return same[0]
    same = [one for one in known if one.name == wanted] or [
        one for one in known if one.name.casefold() == wanted.casefold()
    ]
    if len(same) > 1:
        ids = ", ".join(str(one.id) for one in same[:10])
        text = f"{len(same)} {kind}s are called {wanted!r}; say which by its id: {ids}."
        raise CliError(text, ExitCode.USAGE)
    return same[0] if same else None
