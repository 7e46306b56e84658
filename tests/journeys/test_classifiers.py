"""Classifiers of one's own: which class a request has decides who answers it, and what asking for it cost is booked."""

import asyncio
import gzip
import os
import signal
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import ENV, Rig, Told, gateway
from typer.testing import CliRunner

from polyroute import Gateway
from polyroute.cli.main import build
from polyroute.config.load import read
from polyroute.errors import ConfigError, UnknownObject
from polyroute.wiring.reload import Desk

HEAD = """
server: {auth: keys}
store: {database: "sqlite:///books.db"}
providers: {sim: {dialect: simulated, max_tries: 1}}
keys: [{name: ci, key: {env: CI_KEY}, team: platform, user: ci}]
models:
  cheap: {provider: sim, model: cheap, price: {input: 1, output: 1}, answer: echo, latency_ms: 0}
  good: {provider: sim, model: good, price: {input: 10, output: 10}, answer: echo, latency_ms: 0}
  sorts: {provider: sim, model: sorts, price: {input: 1, output: 1}, answer: refund, latency_ms: 0}
  mumbles: {provider: sim, model: mumbles, price: {input: 1, output: 1}, answer: well now, latency_ms: 0}
  sleeps: {provider: sim, model: sleeps, price: {input: 1, output: 1}, answer: refund, latency_ms: 60000}
  fails: {provider: sim, model: fails, price: {input: 1, output: 1}, fail: server_error, latency_ms: 0}
"""
EXAMPLES = """
classifiers:
  intent:
    use: examples
    classes:
      refund: [I want my money back, please refund my order, can I get a refund, return my payment]
      cancel: [cancel my subscription, I want to stop the service, please end my contract, close my account]
"""
BY_INTENT = """
routes:
  r:
    strategy:
      use: rules
      rules:
        - {when: {class: {intent: refund}}, model: good, name: money back}
        - {when: {class: {intent: null}}, model: sorts, name: none of ours}
      default: cheap
  other: {primary: cheap}
"""


async def ask(rig: Rig, text: str, model: str = "r", **more: Any) -> Told:
    return await rig.post(
        "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": text}], **more}
    )


def by_model(model: str, more: str = "", tasks: str = "{refund: good}") -> str:
    return f"""{HEAD}
routes:
  r: {{strategy: {{use: task, classifier: kind, tasks: {tasks}, default: cheap}}}}
classifiers:
  kind: {{use: llm, model: {model}, classes: {{refund: wants money back, cancel: wants to end it}}{more}}}
"""


async def test_the_class_of_a_request_chooses_its_model(tmp_path: Path) -> None:
    async with gateway(HEAD + BY_INTENT + EXAMPLES, tmp_path) as rig:
        refund = await ask(rig, "you should give me my money back")
        cancel = await ask(rig, "I would like to cancel the subscription")
        neither = await ask(rig, "why do the leaves of a maple turn red")
        receipt = await rig.receipt(refund)
        plain = await rig.receipt(await ask(rig, "you should give me my money back", "other"))
    assert [told.json["model"] for told in (refund, cancel, neither)] == ["good", "cheap", "sorts"]
    assert receipt.classification is not None
    said = receipt.classification.classes["intent"]
    assert (said.label, said.fault) == ("refund", None)
    assert said.classifier.startswith("examples@")
    assert receipt.plan_reason == "rule money back: good"
    assert plain.classification is not None
    assert plain.classification.classes == {}


async def test_the_dry_run_sees_the_class_too(tmp_path: Path) -> None:
    async with gateway(HEAD + BY_INTENT + EXAMPLES, tmp_path) as rig:
        told = await rig.post("/v1/route", {"model": "r", "input": "refund my order please"})
    assert told.json["model"] == "good"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_is_asked_is_the_first_attempt_and_paid(tmp_path: Path, stream: bool) -> None:
    async with gateway(by_model("sorts"), tmp_path) as rig:
        told = await ask(rig, "I want my money back", stream=stream)
        assert told.status == 200
        receipt = await rig.receipt(told)
    assert [(a.model, a.purpose) for a in receipt.attempts] == [("sorts", "classifier kind"), ("good", None)]
    assert receipt.model == "good"
    assert receipt.classification is not None
    assert receipt.classification.cost_usd == receipt.attempts[0].cost_usd
    assert receipt.classification.cost_usd > 0
    assert receipt.cost_usd == sum((a.cost_usd or Decimal(0) for a in receipt.attempts), Decimal(0))


@pytest.mark.parametrize(
    ("model", "more", "fault"),
    [
        ("mumbles", "", "mumbles says 'well now', which is none of the classes"),
        ("sleeps", ", timeout_s: 0.05", "sleeps said nothing within 0.05 s"),
        ("fails", "", "fails could not be asked"),
    ],
)
async def test_a_model_that_names_no_class_leaves_the_rules_to_decide(
    tmp_path: Path, model: str, more: str, fault: str
) -> None:
    async with gateway(by_model(model, more), tmp_path) as rig:
        told = await ask(rig, "I want my money back")
        receipt = await rig.receipt(told)
    assert told.status == 200
    assert receipt.model == "cheap"
    assert receipt.classification is not None
    assert fault in (receipt.classification.classes["kind"].fault or "")
    assert [a.purpose for a in receipt.attempts] == ["classifier kind", None]


async def test_a_declared_task_is_not_overruled_by_a_class(tmp_path: Path) -> None:
    async with gateway(by_model("sorts", tasks="{refund: good, poem: mumbles}"), tmp_path) as rig:
        told = await ask(rig, "I want my money back", metadata={"task": "poem"})
    assert told.json["model"] == "mumbles"


async def test_asking_a_model_is_held_against_the_budget_first(tmp_path: Path) -> None:
    document = by_model("sorts").replace(
        "team: platform, user: ci", "team: platform, user: ci, budget: {total_usd: 0.000001}"
    )
    async with gateway(document, tmp_path) as rig:
        told = await ask(rig, "I want my money back")
    assert told.status == 402


async def test_a_classifier_whose_process_is_killed_costs_one_request_its_class_at_most(tmp_path: Path) -> None:
    async with gateway(HEAD + BY_INTENT + EXAMPLES, tmp_path) as rig:
        await ask(rig, "refund my order please")
        worker = rig.built.foundation.classing
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        first = await ask(rig, "refund my order please")
        second = await ask(rig, "refund my order please")
    assert first.status == 200
    assert second.json["model"] == "good"


async def test_many_requests_at_once_are_classed_each_by_its_own_text(tmp_path: Path) -> None:
    texts = ["refund my order please", "cancel my subscription"] * 20
    async with gateway(HEAD + BY_INTENT + EXAMPLES, tmp_path) as rig:
        told = await asyncio.gather(*(ask(rig, text) for text in texts))
    assert [each.json["model"] for each in told] == ["good", "cheap"] * 20


async def test_a_reload_takes_new_examples_once_they_are_learned(tmp_path: Path) -> None:
    file = tmp_path / "polyroute.yaml"
    file.write_text(HEAD + BY_INTENT + EXAMPLES)
    async with gateway(HEAD + BY_INTENT + EXAMPLES, tmp_path) as rig:
        before = await ask(rig, "my umbrella was blown away by the storm")
        desk = Desk(rig.app, read(file, ENV), ENV, rig.built)
        file.write_text(file.read_text().replace("I want my money back,", "my umbrella was blown away by the storm,"))
        await desk.look()
        after = await ask(rig, "my umbrella was blown away by the storm")
    assert before.json["model"] == "sorts"
    assert after.json["model"] == "good"


async def test_texts_are_classified_over_http(tmp_path: Path) -> None:
    async with gateway(HEAD + BY_INTENT + EXAMPLES, tmp_path) as rig:
        one = await rig.post("/v1/classify", {"text": "refund my order please"})
        many = await rig.post(
            "/v1/classify",
            {"classifier": "intent", "texts": ["close my account", "\ud800".encode("utf-8", "replace").decode()]},
        )
        none = await rig.post("/v1/classify", {"texts": []})
        unknown = await rig.post("/v1/classify", {"classifier": "intents", "text": "x"})
        malformed = await rig.post("/v1/classify", {"texts": [1]})
        nothing = await rig.post("/v1/classify", {})
        crowd = await rig.post("/v1/classify", {"texts": ["x"] * 1001})
        stranger = await rig.post("/v1/classify", {"text": "x"}, key="pk-unknown")
    assert one.json["results"][0]["label"] == "refund"
    assert [each["label"] for each in many.json["results"]] == ["cancel", None]
    assert none.json["results"] == []
    assert [t.status for t in (unknown, malformed, nothing, crowd, stranger)] == [404, 400, 400, 400, 401]


async def test_a_model_is_asked_over_http_as_a_request_of_the_callers(tmp_path: Path) -> None:
    async with gateway(by_model("sorts"), tmp_path) as rig:
        told = await rig.post("/v1/classify", {"classifier": "kind", "text": "money back"})
        receipts = await rig.settled()
    assert told.json["results"] == [{"label": "refund", "score": 1.0}]
    assert [(r.model, r.caller.user) for r in receipts] == [("sorts", "ci")]
    assert receipts[0].cost_usd > 0


async def test_texts_are_classified_in_python(tmp_path: Path) -> None:
    (tmp_path / "polyroute.yaml").write_text(
        HEAD.replace("auth: keys", "auth: open").replace("keys: [", "#") + BY_INTENT + EXAMPLES
    )
    async with Gateway(tmp_path / "polyroute.yaml", env={}) as running:
        found = await running.classify(["refund my order please", "why do maples turn red"], classifier="intent")
        with pytest.raises(UnknownObject, match="there is no classifier `other`; the document has `intent`"):
            await running.classify(["x"], classifier="other")
    assert [each.label for each in found] == ["refund", None]


# ── the command ───────────────────────────────────────────────────────────────────────────────────────


def run(*words: str) -> Any:
    return CliRunner().invoke(build(words[0]), list(words))


def rows(file: Path, *lines: Mapping[str, object]) -> Path:
    file.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    return file


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "polyroute.yaml"
    file.write_text(HEAD.replace("auth: keys", "auth: open").replace("keys: [", "#") + BY_INTENT + EXAMPLES)
    return file


def test_a_file_of_texts_is_classified_in_order(document: Path, tmp_path: Path) -> None:
    asked = rows(
        tmp_path / "in.jsonl",
        {"id": "a", "text": "refund my order please"},
        {"id": 2, "prompt": "close my account"},
        {"messages": [{"role": "user", "content": "why do maples turn red in autumn"}]},
    )
    told = run(
        "classify", "-c", str(document), "--classifier", "intent", "--batch", str(asked), "--out", str(tmp_path / "o")
    )
    assert told.exit_code == 0, told.output
    found = [orjson.loads(line) for line in (tmp_path / "o").read_bytes().splitlines()]
    assert [(row["id"], row["label"]) for row in found] == [("a", "refund"), (2, "cancel"), (3, None)]
    assert all(set(row) == {"id", "label", "score"} and 0 <= row["score"] <= 1 for row in found)


def test_a_classifier_is_made_from_rows_and_used(document: Path, tmp_path: Path) -> None:
    lines = [{"text": f"refund number {n} of my money", "label": "refund"} for n in range(20)]
    lines += [{"text": f"cancel contract {n} and stop it", "label": "cancel"} for n in range(20)]
    made = run(
        "classify", "--train", str(rows(tmp_path / "rows.jsonl", *lines)), "--out", str(tmp_path / "a.json"), "--json"
    )
    assert made.exit_code == 0, made.output
    measured = orjson.loads(made.stdout)["held_out"]
    assert measured["n"] == 40
    assert measured["accuracy"] > 0.9
    text = document.read_text()
    document.write_text(
        text[: text.index("classifiers:")] + "classifiers: {intent: {use: trained, artifact: a.json}}\n"
    )
    told = run("classify", "-c", str(document), "--json", "stop the contract, cancel it")
    assert orjson.loads(told.stdout)["label"] == "cancel"
    assert orjson.loads(told.stdout)["classifier"].startswith("trained@")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--classifier", "intents", "x"), 1, "there is no classifier `intents`"),
        ((), 2, "give a text"),
        (("--batch", "missing.jsonl", "--out", "o"), 1, "No such file"),
        (("--batch", "missing.jsonl"), 2, "goes with"),
        (("x", "--embeddings"), 2, "go with `--train`"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_message(
    document: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    found = run("classify", "-c", str(document), *words)
    assert found.exit_code == code
    assert told in " ".join(found.output.replace("│", "").split())
    assert "Traceback" not in found.output


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"text": "a", "label": 7}, "line 1: Expected"),
        ({"text": "", "label": "x"}, "line 1: `text` is empty"),
        ({"text": "a", "label": "x"}, "one class only"),
    ],
)
def test_rows_that_nothing_can_be_learned_of_are_refused(tmp_path: Path, line: dict[str, object], told: str) -> None:
    found = run("classify", "--train", str(rows(tmp_path / "rows.jsonl", line)), "--out", str(tmp_path / "a.json"))
    assert found.exit_code == 1
    assert told in found.output
    assert not (tmp_path / "a.json").exists()


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("classifier", "problem"),
    [
        ("{use: examples}", "classifiers.intent: has no examples"),
        ("{use: examples, classes: {a: []}, file: f}", "keep one of the two"),
        ("{use: examples, classes: {a: [x], b: []}}", "classifiers.intent.classes.b: has no examples"),
        ("{use: examples, classes: {a: [x], b: [' ']}}", "classifiers.intent.classes.b[0]: is empty"),
        ("{use: examples, classes: {a: [x]}}", "there is one class only"),
        ("{use: examples, file: none.jsonl}", "none.jsonl cannot be read"),
        ("{use: examples, file: bad.jsonl}", "bad.jsonl line 2: Expected `str`"),
        ("{use: examples, file: one.jsonl}", "one class only, `x`"),
        ("{use: examples, file: empty.jsonl}", "no row with a label"),
        ("{use: trained, artifact: none.json}", "none.json cannot be read"),
        ("{use: trained, artifact: bad.jsonl}", "is no classifier"),
        ("{use: llm, model: nobody, classes: [refund, b]}", "there is no model or route `nobody`"),
        ("{use: llm, model: cheap, classes: [refund]}", "fewer than two classes"),
        ("{use: llm, model: cheap, classes: [refund, Refund]}", "names a class twice"),
        ("{use: llm, model: cheap, classes: [refund, none]}", "mean no class"),
        ("{use: examples, classes: {a: [x], b: [y]}}", "`refund` is none of its classes"),
        ("{use: magic}", "classifiers.intent.use"),
        ("{use: examples, classes: {refund: [x], b: [y]}, timeout_s: 0}", "timeout_s"),
    ],
)
async def test_a_classifier_that_could_not_work_stops_the_start(tmp_path: Path, classifier: str, problem: str) -> None:
    rows(tmp_path / "bad.jsonl", {"text": "a", "label": "x"}, {"text": 1, "label": "y"})
    rows(tmp_path / "one.jsonl", {"text": "a", "label": "x"}, {"text": "b", "label": "oos"})
    rows(tmp_path / "empty.jsonl")
    with pytest.raises(ConfigError) as refused:
        async with gateway(f"{HEAD}{BY_INTENT}classifiers: {{intent: {classifier}}}", tmp_path):
            pass
    assert problem in str(refused.value)


async def test_a_route_cannot_look_at_a_classifier_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no classifier `intent`"):
        async with gateway(HEAD + BY_INTENT, tmp_path):
            pass


async def test_without_the_extra_the_start_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polyroute.wiring.classifiers.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'polyroute\[embeddings\]'"):
        async with gateway(HEAD + BY_INTENT + EXAMPLES, tmp_path):
            pass


# ── on real rows ──────────────────────────────────────────────────────────────────────────────────────

DATA = Path(__file__).parents[3] / "shared" / "data" / "intent"


@pytest.mark.skipif(not DATA.exists(), reason="the intent rows are not beside the checkout")
def test_ten_examples_a_class_are_enough_for_banking(document: Path, tmp_path: Path) -> None:
    """The first ten of each class; the first 400 of those kept aside. bench/classify.py measures it whole."""
    train, aside = (
        list(map(orjson.loads, gzip.decompress((DATA / f"banking77.{part}.jsonl.gz").read_bytes()).splitlines()))
        for part in ("train", "dev")
    )
    seen: dict[str, int] = {}
    kept = []
    for row in train:
        seen[row["intent"]] = seen.get(row["intent"], 0) + 1
        if seen[row["intent"]] <= 10:
            kept.append({"text": row["text"], "label": row["intent"]})
    rows(tmp_path / "examples.jsonl", *kept)
    text = document.read_text()
    head = text[: text.index("routes:")]
    document.write_text(f"{head}\nclassifiers: {{banking: {{use: examples, file: examples.jsonl}}}}\n")
    asked = rows(tmp_path / "in.jsonl", *({"id": n, "text": row["text"]} for n, row in enumerate(aside[:400])))
    told = run("classify", "-c", str(document), "--batch", str(asked), "--out", str(tmp_path / "o"))
    assert told.exit_code == 0, told.output
    found = [orjson.loads(line)["label"] for line in (tmp_path / "o").read_bytes().splitlines()]
    assert sum(label == row["intent"] for label, row in zip(found, aside, strict=False)) / len(found) > 0.8
