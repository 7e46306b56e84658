"""The command `polyroute` and its verbs."""

import typer

from polyroute.cli import asking, books, demo, doctor, documents, graph, serving

app = typer.Typer(
    name="polyroute",
    help="A multi-model gateway and router.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verbs in (documents, serving, demo, asking, books, graph, doctor):
    verbs.register(app)


def main() -> None:
    app()
