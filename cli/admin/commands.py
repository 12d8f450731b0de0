"""`hythe admin`: what an administrator of a tenant, or an operator of the installation, may do."""

from __future__ import annotations

import typer

from cli.admin import accounts, jobs, keys, limits, tenants, webhooks, workspaces

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=(
        "For administrators: imports of everybody, accounts, keys, webhooks, workspaces. "
        "Tenants and limits are for operators."
    ),
)
app.command("imports")(jobs.list_imports)
app.command("requeue")(jobs.requeue)
app.command("limits")(limits.set_limits)
app.add_typer(tenants.app, name="tenants")
app.add_typer(accounts.users, name="users")
app.add_typer(accounts.service_accounts, name="service-accounts")
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(workspaces.app, name="workspaces")
