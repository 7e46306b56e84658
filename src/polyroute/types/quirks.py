"""Where a server departs from its dialect's form: the words of `Deployment.quirks`. Says nothing of who does.

Which provider or model has which of them are rows of the catalogue, and a document may add or take away some. What is
done about each is decided where a request is written for such a server.
"""

QUIRKS: dict[str, str] = {
    "no_openai_responses": "has no Responses API: such a request is put as a chat completion",
    "no_openai_chat": "has no chat completions: such a request is put to the Responses API",
    "max_tokens": "knows `max_tokens` and no `max_completion_tokens`",
    "max_completion_tokens": "knows `max_completion_tokens` and no `max_tokens`",
    "no_stream_usage": "refuses `stream_options`; usage comes unasked",
    "random_seed": "calls `seed` `random_seed`",
    "tool_choice_any": "calls the tool choice `required` `any`",
    "tool_choice_auto": "takes no forced tool choice: `auto` and `none` only",
    "fixed_sampling": "takes no temperature, top_p, penalties, logit_bias or logprobs",
    "fixed_sampling_thinking": "takes no sampling fields where it is asked to think",
    "no_stop": "takes no stop sequences",
    "no_seed": "takes no `seed`",
    "no_n": "gives one choice: a request for more goes elsewhere",
    "no_logit_bias": "takes no `logit_bias`",
    "no_logprobs": "takes no `logprobs`",
    "no_penalties": "takes no presence or frequency penalty",
    "no_parallel_tool_calls": "takes no `parallel_tool_calls`",
    "no_extras": "refuses fields of OpenAI's own service: user, store, service_tier, metadata, …",
    "no_strict": "takes no `strict` at tools and schemas",
    "json_object_only": "knows no `json_schema`: the schema is put as an instruction, the answer checked",
    "no_json": "knows no `response_format`: it is put as an instruction, the answer checked",
    "schema_by_tool": "can be held to no JSON schema: it goes through a tool that must be called, the answer checked",
    "no_developer": "knows no role `developer`: it is said as `system`",
    "no_system": "knows no role `system`: it is said at the head of the user's message",
    "alternating": "wants user and assistant in turns: neighbours of one role are joined",
    "text_content": "takes a message's text as a string only",
    "plain_messages": "refuses fields of messages that OpenAI adds: refusal, annotations, reasoning, …",
    "no_names": "takes no `name` at messages of users and assistants",
    "prefix_last": "wants `prefix: true` at an assistant's message that ends the conversation",
    "tool_ids_9": "takes ids of tool calls of exactly nine letters and digits",
    "tool_ids_40": "takes ids of tool calls of at most 40 characters",
    "document_url": "takes a document as a `document_url` part",
    "no_effort": "takes no `reasoning_effort`",
    "no_minimal_effort": "knows no effort `minimal`: it is asked for `low`",
    "effort_none": "takes the effort `none`, which means no thinking",
    "effort_high": "knows the efforts `none` and `high` alone",
    "reasoning_object": "takes thinking as `reasoning: {effort, max_tokens, enabled}`",
    "thinking_switch": "switches thinking by `thinking: {type: enabled or disabled}`",
}

SCHEMA_BY_TOOL = "schema_by_tool"
# With these a schema, or JSON of any kind, is emulated, and whoever answers must be checked.
EMULATES_SCHEMA = frozenset({"json_object_only", "no_json", SCHEMA_BY_TOOL})
EMULATES_JSON = frozenset({"no_json", SCHEMA_BY_TOOL})
