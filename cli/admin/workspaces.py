"""`hythe admin workspaces`: of the public APIs that have them."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.admin.directory import PAGE_SIZE, identity_stub
from cli.admin.messages import print_change, print_list, state_of
from cli.context import Cli, Json, cli_of
from hythe.identity.v1 import identity_pb2 as identity

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Workspaces of the AppFile and Assets APIs.")

WorkspaceId = Annotated[str, typer.Argument(metavar="ID", help="Id of the workspace.")]


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    dialect: Annotated[str, typer.Option(help="appfile or assets.")],
    bucket: Annotated[
        str, typer.Option(help="What clients of the AppFile API call its bucket; else one is made of the id.")
    ] = "",
    _json: Json = False,
) -> None:
    """Make a workspace."""
    cli = cli_of(context)
    request = identity.CreateWorkspaceRequest(dialect=dialect, name=name, bucket_id=bucket)
    made = cli.native.call(identity_stub(cli).CreateWorkspace, request)
    print_change(cli.output, made, f"Workspace {made.workspace.workspace_id} ({made.workspace.name}).")


@app.command("list")
def list_workspaces(context: typer.Context, _json: Json = False) -> None:
    """List the workspaces of the tenant."""
    cli = cli_of(context)
    request = identity.ListWorkspacesRequest(page_size=PAGE_SIZE)
    found = list(cli.native.items(identity_stub(cli).ListWorkspaces, request, lambda page: page.workspaces))
    rows = [(one.workspace_id, one.dialect, one.name, one.bucket_id, state_of(one.disabled)) for one in found]
    print_list(cli.output, "workspaces", found, ["ID", "API", "Name", "Bucket", "State"], rows)


@app.command("disable")
def disable(context: typer.Context, workspace_id: WorkspaceId, _json: Json = False) -> None:
    """Refuse all requests to a workspace. Its data stays."""
    set_disabled(cli_of(context), workspace_id, disabled=True)


@app.command("enable")
def enable(context: typer.Context, workspace_id: WorkspaceId, _json: Json = False) -> None:
    """Accept requests to a disabled workspace again."""
    set_disabled(cli_of(context), workspace_id, disabled=False)


def set_disabled(cli: Cli, workspace_id: str, *, disabled: bool) -> None:
    request = identity.SetWorkspaceDisabledRequest(workspace_id=workspace_id, disabled=disabled)
    changed = cli.native.call(identity_stub(cli).SetWorkspaceDisabled, request)
    print_change(cli.output, changed, f"Workspace {workspace_id} is {state_of(changed.workspace.disabled)}.")
