"""The command `polyroute` and its verbs. Only the verb that is called is imported: help costs next to nothing."""

import sys
from pkgutil import resolve_name

import typer
from msgspec import Struct


class Verb(Struct, frozen=True):
    home: str  # where it is found, below `polyroute.cli`
    summary: str  # its docstring's first sentence


VERBS = {
    "init": Verb("documents:init", "Write a starter document."),
    "check": Verb("checking:check", "Validate the document: every problem at once, with line, column and fix."),
    "schema": Verb("documents:schema", "Print the document's JSON Schema, for editors."),
    "config": Verb("config:config", "Show the document; list, compare and restore those that were in force."),
    "serve": Verb("serving:serve", "Start the gateway; Ctrl-C ends it, SIGHUP or a saved document reloads it."),
    "demo": Verb("demo.verb:demo", "Show what routing does: prompts of ours through a gateway of simulated models."),
    "ask": Verb("asking:ask", "Put one prompt to a model or route."),
    "route": Verb("routing:route", "Show what would be decided for a prompt; no model is called."),
    "classify": Verb("classify:classify", "Say which class a text has; make a classifier from labelled rows."),
    "moderate": Verb(
        "moderate:moderate", "Say whether a text is flagged, and who settled it; make a moderator from labelled rows."
    ),
    "explain": Verb("explaining:explain", "Show the six stages of a past request, with its attempts and its money."),
    "models": Verb("models:models", "List the models that routes may use, and where their facts come from."),
    "graph": Verb("graph:graph", "Draw the document's routes as a Mermaid flowchart."),
    "savings": Verb("savings:savings", "Show what was spent and what routing saved, from the books."),
    "keys": Verb("keys:keys", "Make, list, rotate and end callers' keys."),
    "providers": Verb("providers:providers", "Give providers' keys, kept sealed; list and forget them."),
    "review": Verb("review:review", "List held answers; approve, edit or reject one."),
    "audit-log": Verb("audit_log:audit_log", "Show who managed what, and check that the log is whole."),
    "overrides": Verb("overrides:overrides", "List, show, set, compare and remove what holds for one tenant."),
    "prompts": Verb("prompts:prompts", "List, show, add, label, compare and render prompts."),
    "budget": Verb("budget:budget", "Show and set what may be spent."),
    "ledger": Verb("ledger:ledger", "Verify, recover, reconcile, reprice, prune or export the books."),
    "migrate": Verb("migrating:migrate", "Bring the database's schema forward or back."),
    "cache": Verb("cache:cache", "Show what caches saved; look at a kept answer; empty caches."),
    "drill": Verb(
        "drill.verb:drill", "Rehearse a provider's failure on past traffic, simulated; tell what fallbacks did."
    ),
    "compare": Verb("compare:compare", "Show models or the arms of a split side by side: quality, cost, latency."),
    "train": Verb(
        "train:train",
        "Train a router on labelled rows; exit 1, and no file, where prompt length or chance routes as well.",
    ),
    "prove": Verb("prove:prove", "Show that a route pays, against each model alone and chance at equal cost."),
    "replay": Verb("replay:replay", "Decide past requests anew by another document; no model is called."),
    "what-if": Verb("what_if:what_if", "Past traffic under other circumstances: cost and choices."),
    "economics": Verb("economics:economics", "Price what customers use: invoices and quotes, exact to the cent."),
    "doctor": Verb(
        "doctor:doctor",
        "Look for what would keep the gateway from working here, and what gives way first as the load grows.",
    ),
    "version": Verb("documents:version", "Print the version."),
}


def build(called: str | None) -> typer.Typer:
    """The application with the verb `called` in it, and the others by name and summary."""
    app = typer.Typer(
        name="polyroute",
        help="A multi-model gateway and router.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name, verb in VERBS.items():
        if name != called:
            app.command(name, short_help=verb.summary)(_named_only)
        elif isinstance(found := resolve_name(f"polyroute.cli.{verb.home}"), typer.Typer):
            app.add_typer(found, name=name, short_help=verb.summary)
        else:
            app.command(name, short_help=verb.summary)(found)
    return app


def main() -> None:
    build(next((word for word in sys.argv[1:] if not word.startswith("-")), None))()


def _named_only() -> None:
    """Stands for a verb that was not called."""
