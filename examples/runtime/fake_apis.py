"""The three wire protocols: what a request may hold, and what it asks of the model.

Each function takes a provider, the body of a request and what is documented of the models, and refuses what the API
does not have.
"""

from checks import boolean, by_type, integer, many, name, number, one_of, record, refuse_if, schema, text

# OpenAI's protocol: what all providers have, and what each has besides.
COMMON = {
    "model": text,
    "messages": many(record("role content", role=one_of("system", "user", "assistant"), content=text)),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "stop": many(text, 4),
    "tools": many(
        by_type(
            function=record(
                "function", function=record("name parameters", name=name, description=text, parameters=schema)
            )
        )
    ),
    "response_format": by_type(
        text=record(),
        json_object=record(),
        json_schema=record(
            "json_schema", json_schema=record("name schema", name=name, description=text, schema=schema, strict=boolean)
        ),
    ),
    "reasoning_effort": text,
}
PENALTIES = {"frequency_penalty": number(-2, 2), "presence_penalty": number(-2, 2)}
TOOL_CALLS = {"parallel_tool_calls": boolean, "tool_choice": one_of("auto", "none", "required")}
LIMIT, OLD_LIMIT = {"max_completion_tokens": integer(1)}, {"max_tokens": integer(1)}
SEED = {"seed": integer(-(2**53))}
CHAT = {
    "openai": LIMIT | PENALTIES | TOOL_CALLS | SEED,
    "groq": LIMIT | PENALTIES | TOOL_CALLS | SEED | {"include_reasoning": boolean},
    "mistral": OLD_LIMIT | PENALTIES | TOOL_CALLS | {"random_seed": integer(0), "safe_prompt": boolean},
    "xai": LIMIT | OLD_LIMIT | PENALTIES | TOOL_CALLS | SEED,
    "deepseek": OLD_LIMIT | PENALTIES | {"thinking": by_type(enabled=record(), disabled=record())},
    "perplexity": OLD_LIMIT
    | PENALTIES
    | {"top_k": integer(0), "search_recency_filter": one_of("hour", "day", "week", "month", "year")},
    "cerebras": LIMIT | TOOL_CALLS | SEED,
}


def openai(provider, body, documented):
    record("model messages", **COMMON, **CHAT[provider])(body, "body")
    output = body.get("response_format", {}).get("type")
    refuse_if(output == "json_object" and "json" not in str(body["messages"]).lower(), "messages must contain 'json'")
    return {
        "model": body["model"],
        "sampling": body.keys() & {"temperature", "top_p", "top_k", *PENALTIES},
        "output": body.get("max_completion_tokens", body.get("max_tokens", 0)),
        "effort": body.get("reasoning_effort"),
        "tools": [tool["function"]["name"] for tool in body.get("tools", [])],
        "tool_choice": body.keys() & set(TOOL_CALLS),
        "schema": output == "json_schema",
        "prompt": body["messages"][0]["content"],
        "answer": lambda answer: {"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}]},
    }


MESSAGES = record(
    "model messages max_tokens",
    model=text,
    system=text,
    messages=many(record("role content", role=one_of("user", "assistant"), content=text)),
    max_tokens=integer(1),
    temperature=number(0, 1),
    top_p=number(0, 1),
    top_k=integer(0),
    stop_sequences=many(text),
    thinking=by_type(
        enabled=record("budget_tokens", budget_tokens=integer(1024)), adaptive=record(), disabled=record()
    ),
    output_config=record(effort=text, format=by_type(json_schema=record("schema", schema=schema))),
    tool_choice=by_type(auto=record(disable_parallel_tool_use=boolean), any=record(), none=record()),
    tools=many(lambda tool, path: (ANTHROPIC_SEARCH if "type" in tool else ANTHROPIC_FUNCTION)(tool, path)),
)
ANTHROPIC_FUNCTION = record("name input_schema", name=name, description=text, input_schema=schema)
ANTHROPIC_SEARCH = by_type(web_search_20250305=record("name", name=one_of("web_search"), max_uses=integer(1)))


def anthropic(provider, body, documented):
    MESSAGES(body, "body")
    known = documented.get((provider, body["model"]), {})
    thinking = body.get("thinking", {"type": "disabled"})
    refuse_if(
        thinking["type"] not in known.get("thinking", ["disabled"]),
        f"thinking.type.{thinking['type']} is not supported",
    )
    refuse_if(thinking.get("budget_tokens", 0) >= body["max_tokens"], "max_tokens must be greater than budget_tokens")
    thinks_with = thinking["type"] != "disabled" and body.keys() & {"temperature", "top_k"}
    refuse_if(thinks_with, f"{thinks_with} can't be set with thinking")
    both = known.get("one_of_temperature_and_top_p") and {"temperature", "top_p"} <= body.keys()
    refuse_if(both, "temperature and top_p can't both be set")
    return {
        "model": body["model"],
        "sampling": body.keys() & {"temperature", "top_p", "top_k"},
        "output": body["max_tokens"],
        "effort": body.get("output_config", {}).get("effort"),
        "tools": [tool["name"] for tool in body.get("tools", [])],
        "tool_choice": "tool_choice" in body,
        "schema": "format" in body.get("output_config", {}),
        "prompt": body.get("system", ""),
        "answer": lambda answer: {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": answer}],
        },
    }


PARTS = many(record("text", text=text))
GENERATE = record(
    "contents systemInstruction",
    systemInstruction=record("parts", parts=PARTS),
    contents=many(record("role parts", role=one_of("user", "model"), parts=PARTS)),
    tools=many(
        record(
            google_search=record(),
            functionDeclarations=many(
                record("name description", name=name, description=text, parametersJsonSchema=schema)
            ),
        )
    ),
    generationConfig=record(
        temperature=number(0, 2),
        topP=number(0, 1),
        topK=integer(1),
        seed=integer(-(2**31), 2**31 - 1),
        maxOutputTokens=integer(1),
        stopSequences=many(text, 5),
        presencePenalty=number(-2, 2),
        frequencyPenalty=number(-2, 2),
        responseMimeType=one_of("text/plain", "application/json"),
        responseJsonSchema=schema,
        thinkingConfig=record(thinkingLevel=text, thinkingBudget=integer(-1)),
    ),
)


def google(provider, body, documented):
    model = body.pop("model")
    GENERATE(body, "body")
    config = body.get("generationConfig", {})
    thinking = config.get("thinkingConfig", {})
    refuse_if(len(thinking) > 1, "thinkingLevel and thinkingBudget can't both be set")
    has_schema = "responseJsonSchema" in config
    refuse_if(has_schema and config.get("responseMimeType") != "application/json", "responseJsonSchema needs JSON")
    return {
        "model": model,
        "sampling": config.keys() & {"temperature", "topP", "topK", "presencePenalty", "frequencyPenalty"},
        "output": config.get("maxOutputTokens", 0),
        "effort": thinking.get("thinkingLevel"),
        "tools": [
            f["name"]
            for tool in body.get("tools", [])
            for f in tool.get("functionDeclarations", [{"name": "google_search"}])
        ],
        "tool_choice": False,
        "schema": has_schema,
        "prompt": body["systemInstruction"]["parts"][0]["text"],
        "answer": lambda answer: {"candidates": [{"content": {"role": "model", "parts": [{"text": answer}]}}]},
    }


PROTOCOLS = dict.fromkeys(CHAT, openai) | {"anthropic": anthropic, "gemini": google}
