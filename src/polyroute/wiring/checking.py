"""What is wrong with a document that can be read: `polyroute check` tells it, and nobody may put it in force."""

from collections.abc import Mapping

from polyroute.catalog.cards import Catalogue
from polyroute.config.check import check_start
from polyroute.config.contract import contract
from polyroute.config.load import Loaded
from polyroute.config.resolve import deployments
from polyroute.errors import Problem
from polyroute.wiring.classifiers import classifier_problems
from polyroute.wiring.gates import gate_problems
from polyroute.wiring.moderation import moderation_problems
from polyroute.wiring.routers import router_problems


def standing_problems(loaded: Loaded, env: Mapping[str, str]) -> tuple[Problem, ...]:
    """Beside the reading itself, and the prompts that only a store knows."""
    document = loaded.document
    return (
        *check_start(document, env),
        *gate_problems(document),
        *classifier_problems(document, loaded.folder),
        *router_problems(document, loaded.folder),
        *moderation_problems(document, loaded.folder),
        *contract(document, deployments(document, Catalogue())).problems,
    )
