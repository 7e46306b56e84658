"""From text to a typed document, and all that is wrong with it at once."""

from decimal import Decimal
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyroute.config.document import JsonSchemaGate, Model, PerToken
from polyroute.config.load import Loaded, load, loads, read, reads
from polyroute.errors import ConfigError, Problem

ARTICLE = """\
routes:
  summarize:
    primary: cheap-fast-model
    fallback: general-model
    max_input_tokens: 12000
  legal_review:
    primary: strongest-reasoning-model
    require_human_review: true
limits:
  per_user_per_minute: 20
  per_team_daily_usd: 500
"""
MODELS = """\
models:
  cheap-fast-model: openai/gpt-4o-mini
  general-model: openai/gpt-4o
  strongest-reasoning-model: anthropic/claude-opus-4
"""
OWN_KEYS = {"OPENAI_API_KEY": "sk-a", "ANTHROPIC_API_KEY": "sk-b"}

SOUND = """\
server:
  host: 127.0.0.1
  port: 4000
  auth: open
store:
  durability: process
providers:
  sim:
    dialect: simulated
  own:
    dialect: openai
    base_url: http://127.0.0.1:11434/v1
    private: true
    max_tries: 3
models:
  small: sim/small
  large:
    deployments:
      - provider: sim
        weight: 2
      - provider: own
        model: llama3.1:70b
        region: eu
    price:
      input: 2.50
      output: 10.00
    context_tokens: 128000
    capabilities:
      - tools
      - json_schema
    quality: 0.9
routes:
  support:
    strategy:
      use: complexity
      simple: small
      moderate: small
      complex: large
    fallback:
      - large
      - small
    latency_budget_ms: 2000
    cost_ceiling_usd: 0.02
    quality_floor: 0.85
    precedence: quality
    class: batch
  extract:
    strategy:
      use: cascade
      models: [small, large]
    gates:
      - use: json
        on_reject: retry
      - use: length
        min_chars: 2
  refunds:
    strategy:
      use: rules
      default: small
      rules:
        - when:
            contains: [refund]
          model: large
keys:
  - name: ci
    key: secret-ci
    team: platform
limits:
  per_user_per_minute: 20
  per_team_daily_usd: 500
telemetry:
  prometheus: true
"""


def sound(text: str, env: dict[str, str] | None = None, folder: Path = Path("/nowhere")) -> Loaded:
    return reads(text, env or {}, folder=folder, file="p.yaml")


def problems_of(text: str, env: dict[str, str] | None = None, folder: Path = Path("/nowhere")) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        sound(text, env, folder)
    return caught.value.problems


# ── what loads ────────────────────────────────────────────────────────────────────────────────────────


def test_the_articles_document_loads_as_it_stands() -> None:
    document = sound(ARTICLE + MODELS, OWN_KEYS).document
    assert document.routes["summarize"].primary == "cheap-fast-model"
    assert document.routes["summarize"].fallback == "general-model"
    assert document.routes["summarize"].max_input_tokens == 12000
    assert document.routes["legal_review"].require_human_review
    assert document.limits.per_user_per_minute == 20
    assert document.limits.per_team_daily_usd == Decimal(500)


def test_its_models_may_stand_in_an_included_file(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(MODELS)
    (tmp_path / "p.yaml").write_text("include: [models.yaml]\n" + ARTICLE)
    assert set(read(tmp_path / "p.yaml", OWN_KEYS).document.models) == {
        "cheap-fast-model",
        "general-model",
        "strongest-reasoning-model",
    }


def test_without_its_key_a_provider_that_nobody_declared_is_missing() -> None:
    (problem,) = problems_of(ARTICLE + MODELS, {"OPENAI_API_KEY": "sk-a"})
    assert problem.path == "models.strongest-reasoning-model"
    assert problem.line == 15
    assert problem.fix == "declare it under `providers`, or export ANTHROPIC_API_KEY"


def test_a_sound_document_has_no_problems() -> None:
    assert sound(SOUND).document.routes["support"].class_ == "batch"


def test_money_is_exact() -> None:
    text = "models:\n  m: {provider: simulated, price: {input: 0.100000000000000005, output: 2.50}}\n"
    model = sound(text).document.models["m"]
    assert isinstance(model, Model)
    assert isinstance(model.price, PerToken)
    assert model.price.input == Decimal("0.100000000000000005")
    assert str(model.price.output) == "2.50"


def test_a_schema_is_plain_json() -> None:
    gate = "{use: json_schema, schema: {type: number, multipleOf: 0.5, enum: [no, 1, null, [2.5]]}}"
    text = f"models: {{m: simulated/m}}\nroutes: {{r: {{primary: m, gates: [{gate}]}}}}\n"
    (found,) = sound(text).document.routes["r"].gates
    assert isinstance(found, JsonSchemaGate)
    assert found.schema == {"type": "number", "multipleOf": 0.5, "enum": ["no", 1, None, [2.5]]}
    assert type(found.schema["multipleOf"]) is float


def test_numbers_and_claims_may_come_from_the_environment() -> None:
    text = 'server: {port: "${PORT}", max_body_mb: {env: MB}}\ntelemetry: {prometheus: {env: P}}\n' + MODELS
    env = {"PORT": "4001", "MB": "1.5", "P": "false", **OWN_KEYS}
    document = sound(text, env).document
    assert (document.server.port, document.server.max_body_mb, document.telemetry.prometheus) == (4001, 1.5, False)


def test_text_from_the_environment_is_text_like_any_other() -> None:
    text = (
        'store: {database: "sqlite:///${A}"}\nmodels: {m: {env: B}}\neconomics: {p: {q: ["${A}", 2.5]}}\n'
        'routes: {r: {primary: {env: A}, class: {env: C}, gates: [{use: {env: D}, schema: {title: "${A}"}}]}}\n'
    )
    env = {"A": "m", "B": "simulated/m", "C": "batch", "D": "json_schema"}
    document = loads(text, env, folder=Path("/nowhere")).document
    route = document.routes["r"]
    (gate,) = route.gates
    assert isinstance(gate, JsonSchemaGate)
    texts = [document.store.database, document.models["m"], route.primary, route.class_, gate.schema["title"]]
    assert texts == ["sqlite:///m", "simulated/m", "m", "batch", "m"]
    assert {type(value) for value in texts} == {str}
    assert document.economics == {"p": {"q": ["m", 2.5]}}


def test_a_number_in_the_environment_is_a_problem_where_it_is_none_shown_by_name_only() -> None:
    (problem,) = problems_of('server: {port: "${PORT}"}\n' + MODELS, {"PORT": "s3cret", **OWN_KEYS})
    assert problem.path == "server.port"
    assert "${PORT}" in problem.message
    assert "s3cret" not in str(problem)


def test_sections_that_are_only_a_heading_are_not_there() -> None:
    assert sound("keys:\nroutes:\n" + MODELS, OWN_KEYS).document.keys == ()


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"\xef\xbb\xbf" + SOUND.encode())
    assert read(tmp_path / "p.yaml", {}).document.server.port == 4000


# ── secrets ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("{env: KEY}", "${KEY}"),
        ('"${KEY}"', "${KEY}"),
        ("{file: key.txt}", "file key.txt"),
        ("sk-12", "literal"),
    ],
)
def test_a_secret_knows_where_it_was_read(tmp_path: Path, written: str, name: str) -> None:
    (tmp_path / "key.txt").write_text("sk-12\n")
    text = f"providers: {{p: {{dialect: openai, api_key: {written}}}}}\n"
    secret = sound(text, {"KEY": "sk-12"}, tmp_path).document.providers["p"].api_key
    assert secret is not None
    assert (secret.reveal(), secret.name) == ("sk-12", name)


def test_no_secret_is_printed() -> None:
    text = SOUND + "  # sk-in-text\n"
    loaded = sound(text.replace("key: secret-ci", "key: {env: KEY}"), {"KEY": "sk-from-env"})
    for shown in (repr(loaded), repr(loaded.document), str(loaded.document.keys)):
        assert "sk-" not in shown


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{env: EMPTY}", "empty"),
        ("{env: BROKEN}", "no header can carry"),
        ("{file: nothing.txt}", "cannot be read"),
        ("{file: bytes.bin}", "UTF-8"),
        ("{fil: x}", "{env: NAME}"),
        ("[sk-hidden]", "{env: NAME}"),
        ("12345678", "in quotes"),
        ("sk-hidden é", "no header can carry"),
    ],
)
def test_a_secret_that_cannot_be_used_is_a_problem_that_hides_it(tmp_path: Path, written: str, said: str) -> None:
    (tmp_path / "bytes.bin").write_bytes(b"\xff\xfe")
    text = f"providers:\n  p:\n    dialect: openai\n    api_key: {written}\n"
    (problem,) = problems_of(text, {"EMPTY": "", "BROKEN": "sk-hidden\r\nx: y"}, tmp_path)
    assert (problem.path, problem.line) == ("providers.p.api_key", 4)
    assert said in problem.message
    assert "hidden" not in str(problem)
    assert "12345678" not in str(problem)


def test_a_secret_a_level_too_high_is_not_repeated() -> None:
    (problem,) = problems_of("providers: {openai: sk-hidden}\nmodels: {m: simulated/m}\n")
    assert "hidden" not in str(problem)


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "main.yaml"


def test_included_sections_are_joined_entry_by_entry_and_lists_end_to_end(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main="include: [one.yaml, two.yaml]\nserver: {port: 1}\nkeys: [{name: a, key: a}]\n",
        one="server: {host: 127.0.0.1}\nmodels: {m: simulated/m}\nkeys: [{name: b, key: b}]\n",
        two="models: {n: simulated/n}\nkeys: [{name: c, key: c}]\nroutes: {r: {primary: n}}\n",
    )
    document = read(main, {}).document
    assert (document.server.port, document.server.host) == (1, "127.0.0.1")
    assert list(document.models) == ["m", "n"]
    assert [key.name for key in document.keys] == ["a", "b", "c"]


def test_includes_are_relative_to_the_file_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "parts" / "deep").mkdir(parents=True)
    (tmp_path / "main.yaml").write_text("include: parts/a.yaml\n")
    (tmp_path / "parts" / "a.yaml").write_text("include: [deep/b.yaml]\nroutes: {r: {primary: m}}\n")
    (tmp_path / "parts" / "deep" / "b.yaml").write_text("models: {m: simulated/m}\n")
    assert set(read(tmp_path / "main.yaml", {}).document.models) == {"m"}


def test_a_file_that_two_include_is_read_once(tmp_path: Path) -> None:
    main = write(
        tmp_path, main="include: [a.yaml, b.yaml]\n", a="include: [c.yaml]\n", b="include: [c.yaml]\n", c=MODELS
    )
    assert len(read(main, OWN_KEYS).document.models) == 3


def test_problems_name_the_file_they_are_in(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main="include: [one.yaml]\nkeys: [{name: a, key: a}]\nroutes:\n  r: {primary: n}\n",
        one="models: {m: simulated/m}\nkeys:\n  - {name: b, key: b}\n  - {name: a, key: d, team: 5}\n",
    )
    with pytest.raises(ConfigError) as caught:
        read(main, {})
    assert [(Path(p.file or "").name, p.line, p.path) for p in caught.value.problems] == [
        ("main.yaml", 4, "routes.r.primary"),
        ("one.yaml", 4, "keys[2].name"),
        ("one.yaml", 4, "keys[2].team"),
    ]


def test_a_setting_given_in_two_files_is_a_conflict_with_both_places(tmp_path: Path) -> None:
    main = write(tmp_path, main="include: [one.yaml]\nmodels:\n  m: simulated/m\n", one="models:\n\n  m: simulated/n\n")
    with pytest.raises(ConfigError) as caught:
        read(main, {})
    (problem,) = caught.value.problems
    assert (problem.path, Path(problem.file or "").name, problem.line) == ("models.m", "one.yaml", 3)
    assert "main.yaml:3" in problem.message


def test_a_cycle_of_includes_is_told_and_ends(tmp_path: Path) -> None:
    main = write(tmp_path, main="models: {m: simulated/m}\ninclude: [a.yaml]\n", a="include: [main.yaml]\n")
    with pytest.raises(ConfigError) as caught:
        read(main, {})
    (problem,) = caught.value.problems
    assert "by itself" in problem.message
    assert (Path(problem.file or "").name, problem.line) == ("a.yaml", 1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: path.write_bytes(b"a: 1\nb: \xff\n"), "0xff is not UTF-8"),
        (lambda path: path.write_bytes("a: 1".encode("utf-16")), "not UTF-8"),
        (lambda path: path.write_text("- a\n"), "mapping of sections"),
        (lambda path: path.write_text("hello"), "mapping of sections"),
        (lambda path: path.write_text("a: ["), "not YAML"),
        (lambda path: path.write_text(""), "nothing to serve"),
    ],
)
def test_a_file_that_is_no_document_is_one_clear_problem(tmp_path: Path, make: object, said: str) -> None:
    path = tmp_path / "p.yaml"
    assert callable(make)
    make(path)
    with pytest.raises(ConfigError) as caught:
        read(path, {})
    (problem,) = caught.value.problems
    assert said in problem.message


def test_a_missing_included_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(write(tmp_path, main="include: [nothing.yaml]\n"), {})
    assert (caught.value.problems[0].file or "").endswith("nothing.yaml")


def test_recordings_must_be_there(tmp_path: Path) -> None:
    text = "providers: {tape: {dialect: replay, recordings: traffic.jsonl}}\n"
    (problem,) = problems_of(text, folder=tmp_path)
    assert (problem.path, problem.line) == ("providers.tape.recordings", 1)
    (tmp_path / "traffic.jsonl").write_text("")
    assert sound(text, folder=tmp_path).document.providers["tape"].recordings == "traffic.jsonl"


# ── all problems at once ──────────────────────────────────────────────────────────────────────────────


def test_twenty_mistakes_are_twenty_problems_in_the_order_of_the_text() -> None:
    text = """\
servr: {}
server: {prot: 1, port: 70000, auth: maybe}
store: {database: mysql://x, durability: processs}
providers:
  a: {dialect: opnai}
  b: {dialect: openai, api_key: {env: MISSING}}
  "c/d": {dialect: simulated}
models:
  m: sim2/x
  n: {provider: a, price: {input: abc, output: -1}}
  auto: simulated/x
routes:
  r: {primary: mm, fallback: [n, 3, nn], quality_floor: 1.5}
  s: {strategy: {use: complexty}}
  t: {primary: u}
  u: {primary: t, cache: {semantic: {ttl: 24h}}}
keys: [{name: k, key: x}, {name: k, key: y}]
limits: {per_user_per_minute: -1}
"""
    assert [(p.line, p.path) for p in problems_of(text)] == [
        (1, "servr"),
        (2, "server.prot"),
        (2, "server.port"),
        (2, "server.auth"),
        (3, "store.database"),
        (3, "store.durability"),
        (5, "providers.a.dialect"),
        (6, "providers.b.api_key"),
        (7, "providers.c/d"),
        (9, "models.m"),
        (10, "models.n.price.input"),
        (10, "models.n.price.output"),
        (11, "models.auto"),
        (13, "routes.r.primary"),
        (13, "routes.r.fallback[1]"),
        (13, "routes.r.fallback[2]"),
        (13, "routes.r.quality_floor"),
        (14, "routes.s.strategy.use"),
        (16, "routes.u.primary"),
        (16, "routes.u.cache.semantic"),
        (17, "keys[1].name"),
        (18, "limits.per_user_per_minute"),
    ]


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("routes: {r: {fallbak: m}}", "did you mean `fallback`?"),
        ("rotes: {}", "did you mean `routes`?"),
        ("providers: {p: {dialect: antropic}}", "did you mean `anthropic`?"),
        ("routes: {r: {strategy: {use: cheepest}}}", "did you mean `cheapest`?"),
        ("routes: {r: {gates: [{use: json_shema}]}}", "did you mean `json_schema`?"),
        ("routes: {r: {strategy: cheapest}}", "write {use: cheapest, …}"),
        ("telemetry: {prometheus: yes}", "yes, no, on and off are text in YAML 1.2"),
        ("models: {m: {provider: 5}}", "put it in quotes"),
        ("routes: {r: {strategy: {use: cheapest, models: m}}}", "write [m]"),
        ("models: {small: simulated/s}\nroutes: {r: {primary: smal}}", "did you mean `small`?"),
        ("models: {m: {provider: simulated, capabilities: [tool]}}", "did you mean `tools`?"),
    ],
)
def test_the_fix_is_told(text: str, fix: str) -> None:
    assert fix in [problem.fix for problem in problems_of(text)]


def test_load_leaves_what_must_fit_together_to_check() -> None:
    assert loads("routes: {r: {primary: nobody}}", {}, folder=Path("/nowhere")).document.routes["r"].primary == "nobody"


def test_problems_found_later_are_placed(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("routes:\n  r:\n    primary: {env: MODEL}\n")
    loaded = load(tmp_path / "p.yaml", {"MODEL": "nobody"})
    (problem,) = loaded.placed([Problem(path="routes.r.primary", message="wrong")])
    assert (problem.line, problem.column) == (3, 5)


# ── laws ──────────────────────────────────────────────────────────────────────────────────────────────

_SETTINGS = [
    (number, line)
    for number, line in enumerate(SOUND.splitlines(), start=1)
    if ":" in line and not line.endswith(":") and "small: sim/small" not in line  # a name, free to choose
]


@settings(max_examples=150)
@given(place=st.sampled_from(_SETTINGS), letter=st.sampled_from("qxz"))
def test_a_misspelt_setting_is_found_at_its_line(place: tuple[int, str], letter: str) -> None:
    number, line = place
    lines = SOUND.splitlines()
    name, colon, value = line.partition(":")
    lines[number - 1] = f"{name}{letter}{colon}{value}"
    problems = problems_of("\n".join(lines))
    assert number in [problem.line for problem in problems]


@settings(max_examples=150)
@given(place=st.sampled_from(_SETTINGS), wrong=st.sampled_from(["{a: {b: c}}", "[[1]]", "!x y", "${NOT_SET}", "*none"]))
def test_a_wrong_value_is_found_at_its_line(place: tuple[int, str], wrong: str) -> None:
    number, line = place
    lines = SOUND.splitlines()
    lines[number - 1] = f"{line.partition(':')[0]}: {wrong}"
    assert number in [problem.line for problem in problems_of("\n".join(lines))]


@settings(max_examples=200)
@given(at=st.integers(0, len(SOUND) - 1), junk=st.sampled_from(list("{}[]:,&*!|>'\"%@`\t\n#?- \x00é0")))
def test_any_damage_gives_problems_or_a_document_never_a_crash(at: int, junk: str) -> None:
    text = SOUND[:at] + junk + SOUND[at + 1 :]
    problems: tuple[Problem, ...] = ()
    try:
        sound(text)
    except ConfigError as exc:
        problems = exc.problems
    assert all(problem.line is not None for problem in problems)


def test_five_thousand_models_load_soon() -> None:
    models = "".join(
        f"  m{n}:\n    deployments: [{{provider: simulated, model: a{n}}}, {{provider: simulated, region: eu}}]\n"
        f"    price: {{input: 2.50, output: 10.00}}\n    capabilities: [tools, vision]\n"
        for n in range(5000)
    )
    started = perf_counter()
    document = sound(f"models:\n{models}routes: {{r: {{primary: m1}}}}\n").document
    assert perf_counter() - started < 2
    assert len(document.models) == 5000
