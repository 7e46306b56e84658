"""The settings: every section and field of `polyroute.yaml`, with its type, range, default and meaning.

The structs are what the document may say, no more: what this version does with it is told by `support.py`, and what
must fit together by `check.py`. Names, forms and defaults are promised in the interface's section on the document.
The descriptions become the JSON Schema for editors and the reference of settings.
"""

from typing import Annotated, Any

from msgspec import field

from polyroute.config.document.callers import Key, Limits, Team, Tenant
from polyroute.config.document.classifiers import (
    Classifier,
    ExamplesClassifier,
    LlmClassifier,
    TrainedClassifier,
)
from polyroute.config.document.gates import (
    AgreementGate,
    AllGate,
    AnyGate,
    CodeGate,
    EntropyGate,
    Gate,
    JsonGate,
    JsonSchemaGate,
    JudgeGate,
    LanguageGate,
    LengthGate,
    OnReject,
    RegexGate,
    SqlGate,
    WeightedGate,
)
from polyroute.config.document.policy import Budget, DataPolicy, Pace, Privacy, Sticky
from polyroute.config.document.process import (
    Alert,
    Batch,
    ClaimNames,
    Oidc,
    Overload,
    Retention,
    SecretManagers,
    Server,
    Store,
    Telemetry,
    VaultPlace,
    kept_for,
)
from polyroute.config.document.providers import (
    Credentials,
    Manner,
    Model,
    PerToken,
    Placement,
    Provider,
    Tier,
    Timeouts,
)
from polyroute.config.document.routes import (
    GAPS,
    Cache,
    Hedge,
    ModeratedBy,
    OnFlagged,
    Output,
    Review,
    Route,
    SemanticCache,
    Webhook,
)
from polyroute.config.document.strategies import (
    Arm,
    Cascade,
    Cheapest,
    Complexity,
    Doubt,
    EscalationBand,
    Fastest,
    Fixed,
    HttpCall,
    Learned,
    LlmRouter,
    Logic,
    LogicAnswer,
    Lookup,
    Moderation,
    Rule,
    Rules,
    Split,
    Strategy,
    Task,
    Thresholds,
    TierTarget,
    TierTargets,
)
from polyroute.config.document.words import (
    Count,
    Failure,
    Family,
    JsonObject,
    Later,
    Millis,
    Names,
    NotNegative,
    Positive,
    Settings,
    Share,
    Temperature,
    about,
    names,
)
from polyroute.types.prompts import Prompt

__all__ = [
    "GAPS",
    "AgreementGate",
    "Alert",
    "AllGate",
    "AnyGate",
    "Arm",
    "Batch",
    "Budget",
    "Cache",
    "Cascade",
    "Cheapest",
    "ClaimNames",
    "Classifier",
    "CodeGate",
    "Complexity",
    "Count",
    "Credentials",
    "DataPolicy",
    "Document",
    "Doubt",
    "EntropyGate",
    "EscalationBand",
    "ExamplesClassifier",
    "Failure",
    "Family",
    "Fastest",
    "Fixed",
    "Gate",
    "Hedge",
    "HttpCall",
    "JsonGate",
    "JsonObject",
    "JsonSchemaGate",
    "JudgeGate",
    "Key",
    "LanguageGate",
    "Later",
    "Learned",
    "LengthGate",
    "Limits",
    "LlmClassifier",
    "LlmRouter",
    "Logic",
    "LogicAnswer",
    "Lookup",
    "Manner",
    "Millis",
    "Model",
    "ModeratedBy",
    "Moderation",
    "Names",
    "NotNegative",
    "Oidc",
    "OnFlagged",
    "OnReject",
    "Output",
    "Overload",
    "Pace",
    "PerToken",
    "Placement",
    "Positive",
    "Privacy",
    "Provider",
    "RegexGate",
    "Retention",
    "Review",
    "Route",
    "Rule",
    "Rules",
    "SecretManagers",
    "SemanticCache",
    "Server",
    "Settings",
    "Share",
    "Split",
    "SqlGate",
    "Sticky",
    "Store",
    "Strategy",
    "Task",
    "Team",
    "Telemetry",
    "Temperature",
    "Tenant",
    "Thresholds",
    "Tier",
    "TierTarget",
    "TierTargets",
    "Timeouts",
    "TrainedClassifier",
    "VaultPlace",
    "Webhook",
    "WeightedGate",
    "about",
    "kept_for",
    "names",
]


class Document(Settings, frozen=True):
    """The whole of `polyroute.yaml`."""

    include: Annotated[Names, about("Files merged into this one, relative to its folder.")] = ()
    server: Annotated[Server, about("Where the gateway listens, and whom it lets in.")] = Server()
    store: Annotated[Store, about("What is remembered, and where.")] = Store()
    secrets: Annotated[SecretManagers, about("Secret managers that secrets are read from.")] = SecretManagers()
    providers: Annotated[dict[str, Provider], about("Companies' APIs and servers of one's own, by name.")] = field(
        default_factory=dict
    )
    models: Annotated[
        dict[str, str | Model], about("Models by the name that routes use; short form `provider/model`.")
    ] = field(default_factory=dict)
    routes: Annotated[dict[str, Route], about("Routes by the name that callers send.")] = field(default_factory=dict)
    keys: Annotated[tuple[Key, ...], about("The callers' keys.")] = ()
    privacy: Annotated[Privacy | None, about("Of every request whose route does not say otherwise.")] = None
    tenants: Annotated[dict[str, Tenant], about("What holds for a tenant's requests, by its name.")] = field(
        default_factory=dict
    )
    teams: Annotated[dict[str, Team], about("What single teams may use, and their weights.")] = field(
        default_factory=dict
    )
    limits: Annotated[Limits, about("What every user and team may use.")] = Limits()
    tasks: Annotated[str | None, about("File of the task policy pack; else the one that is shipped.")] = None
    classifier: Annotated[
        str, about("What scores requests: `heuristic`, `article`, or the name of an installed plug-in.")
    ] = "heuristic"
    telemetry: Annotated[Telemetry, about("What is told to those who watch.")] = Telemetry()
    pipelines: Annotated[dict[str, Any], about("Graphs of nodes, callable as model `pipeline/NAME`.")] = field(
        default_factory=dict
    )
    prompts: Annotated[dict[str, Prompt], about("Prompts by name.")] = field(default_factory=dict)
    batch: Annotated[Batch | None, about("When work that can wait is done.")] = None
    alerts: Annotated[tuple[Alert, ...], about("Who is told of what.")] = ()
    classifiers: Annotated[dict[str, Classifier], about("Classifiers of one's own, by name.")] = field(
        default_factory=dict
    )
    economics: Annotated[dict[str, Any], about("Figures for the business side.")] = field(default_factory=dict)
