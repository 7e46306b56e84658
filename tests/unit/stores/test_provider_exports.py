"""Exports as providers write them. Shapes: the API references of both companies' usage and cost reports, 2025."""

import json
from datetime import date
from decimal import Decimal

import pytest

from polyroute.errors import InvalidRequest
from polyroute.stores.provider_exports import read_export
from polyroute.stores.reconcile import Spell

DAY = date(2025, 8, 1)
NOON = 1754049600  # 2025-08-01T12:00:00Z

OPENAI_USAGE = {
    "object": "page",
    "data": [
        {
            "object": "bucket", "start_time": NOON - 43200, "end_time": NOON + 43200,
            "results": [
                {"object": "organization.usage.completions.result", "input_tokens": 1000, "output_tokens": 500,
                 "input_cached_tokens": 800, "num_model_requests": 5, "project_id": None, "model": "gpt-4o-2024-08-06"}
            ],
        },
        {"object": "bucket", "start_time": NOON + 43200, "end_time": NOON + 129600, "results": []},
    ],
    "has_more": False,
}  # fmt: skip
OPENAI_COSTS = {
    "object": "page",
    "data": [{"start_time": NOON, "end_time": NOON, "results": [
        {"object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"},
         "line_item": "gpt-4o-2024-08-06, input", "project_id": "p"}]}],
}  # fmt: skip
ANTHROPIC_USAGE = {
    "data": [{"starting_at": "2025-08-01T00:00:00Z", "ending_at": "2025-08-02T00:00:00Z", "results": [
        {"uncached_input_tokens": 1500, "cache_creation": {"ephemeral_1h_input_tokens": 1000,
         "ephemeral_5m_input_tokens": 500}, "cache_read_input_tokens": 200, "output_tokens": 500,
         "server_tool_use": {"web_search_requests": 10}, "model": "claude-sonnet-4-20250514"}]}],
    "has_more": False, "next_page": None,
}  # fmt: skip
ANTHROPIC_COST = {
    "data": [{"starting_at": "2025-08-01T00:00:00Z", "ending_at": "2025-08-02T00:00:00Z", "results": [
        {"currency": "USD", "amount": "123.78912", "description": "Claude Sonnet 4 Usage - Input Tokens",
         "cost_type": "tokens", "model": "claude-sonnet-4-20250514", "token_type": "uncached_input_tokens"},
        {"currency": "USD", "amount": "50", "description": "Web search", "cost_type": "web_search", "model": None}]}],
}  # fmt: skip
ANTHROPIC_CSV = """usage_date_utc,model_version,api_key,workspace,usage_type,context_window,\
usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,\
usage_output_tokens,web_search_count
2025-08-01,claude-opus-4-20250514,k,Default,standard,≤ 200k,10,20,30,40,50,0
"""
OPENAI_CSV = """start_time,end_time,start_time_iso,end_time_iso,model,num_model_requests,input_tokens,output_tokens
1754006400,1754092800,2025-08-01T00:00:00+00:00,2025-08-02T00:00:00+00:00,gpt-4o,3,"1,200",60
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(json.dumps(OPENAI_USAGE), Spell(day=DAY, model="gpt-4o-2024-08-06", requests=5,
                     input_tokens=1000, output_tokens=500), id="openai usage"),
        pytest.param(json.dumps(OPENAI_COSTS), Spell(day=DAY, model="gpt-4o-2024-08-06", cost_usd=Decimal("0.06")),
                     id="openai costs"),
        pytest.param(json.dumps([ANTHROPIC_USAGE]), Spell(day=DAY, model="claude-sonnet-4-20250514",
                     input_tokens=3200, output_tokens=500), id="anthropic usage, a list of pages"),
        pytest.param(json.dumps(ANTHROPIC_COST), Spell(day=DAY, model="claude-sonnet-4-20250514",
                     cost_usd=Decimal("1.2378912")), id="anthropic cost, in cents"),
        pytest.param(ANTHROPIC_CSV, Spell(day=DAY, model="claude-opus-4-20250514", input_tokens=100,
                     output_tokens=50), id="anthropic csv"),
        pytest.param(OPENAI_CSV, Spell(day=DAY, model="gpt-4o", requests=3, input_tokens=1200, output_tokens=60),
                     id="openai csv"),
        pytest.param("\ufeffday,model,cost_usd\n2025-08-01,m,$1.50\n",
                     Spell(day=DAY, model="m", cost_usd=Decimal("1.50")), id="the plain csv"),
    ],
)  # fmt: skip
def test_each_export_is_read(text: str, expected: Spell) -> None:
    assert read_export(text) == [expected]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[1]", "no buckets"),
        ("model,cost_usd\nm,1\n", "has no day"),
        ("day,requests\n2025-08-01,1\n", "names no model"),
        ("day,model,cost_usd\nsoon,m,1\n", "is no day"),
        ("day,model,cost_usd\n2025-08-01,m,dear\n", "is no amount"),
        ("day,model,cost_usd\n2025-08-01,m,nan\n", "is no amount"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_export(text)
