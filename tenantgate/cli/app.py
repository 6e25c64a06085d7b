"""The root of the command line: names of commands to modules, imported when one is called."""

from __future__ import annotations

import importlib
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS: Final = {
    "demo": ("tenantgate.cli.demo.command", "Show the whole job on this machine, without network."),
    "serve": ("tenantgate.cli.serve", "Serve the REST API, the page and /auth/check."),
    "doctor": ("tenantgate.cli.doctor", "Find out what is wrong here, and what to do about it."),
    "migrate": ("tenantgate.cli.migrate", "Make the database, or bring it to this version's schema."),
    "partner": ("tenantgate.cli.partner", "The companies whose daemons may call."),
    "tenant": ("tenantgate.cli.tenant", "Partners' slices of issuers."),
    "daemon": ("tenantgate.cli.daemon", "Partners' programs that may call."),
    "certificate": ("tenantgate.cli.certificate", "Which certificates daemons may show."),
    "subscription-key": ("tenantgate.cli.subscription_key", "Values of ours that daemons may show."),
    "role": ("tenantgate.cli.role", "What resources let their callers do, and who was granted it."),
    "invitation": ("tenantgate.cli.invitation", "Links with which partners' developers name their daemons."),
    "pending-grant": ("tenantgate.cli.pending_grant", "Sensitive roles that wait for a second operator."),
    "access-request": ("tenantgate.cli.access_request", "Authentic callers on no list, waiting for a human."),
    "decision": ("tenantgate.cli.decision", "Who was let in and who was not, and why."),
    "attention": ("tenantgate.cli.attention", "What needs a person."),
    "resource": ("tenantgate.cli.resource", "The protected APIs and their token rules."),
    "issuer": ("tenantgate.cli.issuer", "What is trusted to sign."),
    "policy": ("tenantgate.cli.policy", "What is in force, and who enforces it."),
    "token": ("tenantgate.cli.token", "Judge and explain tokens against a policy, offline."),
    "operator": ("tenantgate.cli.operator", "Who administers."),
    "whoami": ("tenantgate.cli.whoami", "In whose name commands work here, and why."),
    "admin-key": ("tenantgate.cli.admin_key", "What operators show to be let in."),
    "sign-in-link": ("tenantgate.cli.sign_in_link", "Links that sign an operator in on the page."),
    "master-key": ("tenantgate.cli.master_key", "What the product's own keys are sealed under."),
    "product-key": ("tenantgate.cli.product_key", "Keys the product makes for itself."),
    "audit": ("tenantgate.cli.audit", "Who did what, and the proof that nobody changed it."),
}
"""Command → module (its `app`) and the line `--help` shows for it without importing it."""

_LISTING: Final = "tenantgate.listing"


class LazyGroup(TyperGroup):
    """Imports a command's module when it is called, so that `token judge` never loads the database."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; a stand-in with its help text where only the list of commands is asked for."""
        if cmd_name not in COMMANDS:
            return None
        module, summary = COMMANDS[cmd_name]
        if ctx.meta.get(_LISTING):
            return TyperCommand(cmd_name, help=summary, rich_markup_mode=None)
        command = typer.main.get_command(importlib.import_module(module).app)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands without importing them."""
        ctx.meta[_LISTING] = True
        super().format_help(ctx, formatter)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="An allow-list of partner tenants for your API, and the gate that enforces it.",
)


@app.callback()
def root() -> None:
    """An allow-list of partner tenants for your API, and the gate that enforces it."""
