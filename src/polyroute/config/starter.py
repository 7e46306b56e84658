"""The document that `polyroute init` writes. It starts as it stands: no key, no network, simulated models."""

_TEXT = """\
# Polyroute: which model answers what, within which limits. `polyroute check` finds every mistake at once;
# `polyroute schema` prints the schema for editors; docs/reference/settings.md explains every setting.

server:
  host: 127.0.0.1
  port: 4000
  auth: open                 # loopback only; `keys` asks every caller for a key (see the end of this file)

store:
  database: sqlite:///polyroute.db

providers:
  sim: {dialect: simulated}  # answers by itself, without a network: to try things out
  # openai:    {dialect: openai, api_key: {env: OPENAI_API_KEY}}
  # anthropic: {dialect: anthropic, api_key: {env: ANTHROPIC_API_KEY}}
  # ollama:    {dialect: openai, base_url: "http://127.0.0.1:11434/v1", private: true}

models:                      # the names that routes use; prices are US dollars per million tokens
  cheap-fast-model:          # for a real one: `cheap-fast-model: openai/gpt-4o-mini`
    provider: sim
    price: {input: 0.15, output: 0.60}
    context_tokens: 128000
    quality: 0.70
    latency_ms: 200
    answer: echo
  general-model:
    provider: sim
    price: {input: 2.50, output: 10.00}
    context_tokens: 128000
    quality: 0.88
    latency_ms: 400
    answer: echo
  strongest-reasoning-model:
    provider: sim
    price: {input: 15.00, output: 75.00}
    context_tokens: 200000
    quality: 0.95
    latency_ms: 900
    answer: echo

routes:                      # the names that callers send as `model`
  auto:                      # by difficulty: the cheapest tier that does it well
    strategy: {use: complexity, simple: cheap-fast-model, moderate: general-model, complex: strongest-reasoning-model}
    fallback: general-model
    baseline: strongest-reasoning-model
  summarize:
    primary: cheap-fast-model
    fallback: general-model
    max_input_tokens: 12000
  extract:                   # small first; an answer that is no JSON goes to the next model
    strategy: {use: cascade, models: [cheap-fast-model, general-model]}
    gates: [{use: json}]

limits:
  per_user_per_minute: 600
  per_team_daily_usd: 500

# keys:                      # with `auth: keys`
#   - {name: ci, key: {env: CI_KEY}, team: platform, user: ci}
"""


def starter() -> str:
    """YAML text; loads and checks clean with an empty environment."""
    return _TEXT
