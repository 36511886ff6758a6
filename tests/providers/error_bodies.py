"""Error answers as providers, servers and gateways really write them, and what each means."""

from typing import Any, NamedTuple

from jobs.failures import FailureClass as F


class Row(NamedTuple):
    name: str
    status: int
    body: Any  # JSON, or a str for what is none
    means: F


def openai(message: str, kind: str | None, code: str | None, param: str | None = None) -> Any:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def anthropic(kind: str, message: str) -> Any:
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    }


OPENAI = [
    Row(
        "openai wrong key",
        401,
        openai(
            "Incorrect API key provided: sk-proj-********cdef. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            "invalid_request_error",
            "invalid_api_key",
        ),
        F.AUTHENTICATION,
    ),
    Row(
        "openai no key",
        401,
        openai(
            "You didn't provide an API key. You need to provide your API key in an "
            "Authorization header using Bearer auth",
            "invalid_request_error",
            None,
        ),
        F.AUTHENTICATION,
    ),
    Row(
        "openai scope",
        401,
        openai(
            "You have insufficient permissions for this operation. Missing scopes: model.request.",
            "invalid_request_error",
            None,
        ),
        F.AUTHENTICATION,
    ),
    Row(
        "openai country",
        403,
        openai(
            "Country, region, or territory not supported",
            "request_forbidden",
            "unsupported_country_region_territory",
        ),
        F.PERMISSION,
    ),
    Row(
        "openai project",
        403,
        openai(
            "Project `proj_abc` does not have access to model `gpt-5`",
            "invalid_request_error",
            "model_not_found",
        ),
        F.PERMISSION,
    ),
    Row(
        "openai model",
        404,
        openai(
            "The model `gpt-9` does not exist or you do not have access to it.",
            "invalid_request_error",
            "model_not_found",
        ),
        F.MODEL_NOT_FOUND,
    ),
    Row(
        "openai model that is gone",
        404,
        openai(
            "The model `gpt-3.5-turbo-0301` has been deprecated",
            "invalid_request_error",
            "model_not_found",
        ),
        F.MODEL_NOT_FOUND,
    ),
    Row(
        "openai chat model",
        404,
        openai(
            "This is not a chat model and thus not supported in the v1/chat/completions endpoint.",
            "invalid_request_error",
            None,
            "model",
        ),
        F.MODEL_NOT_FOUND,
    ),
    Row(
        "openai rpm",
        429,
        openai(
            "Rate limit reached for gpt-4o in organization org-abc on requests per min (RPM): "
            "Limit 500, Used 500, Requested 1. Please try again in 120ms.",
            "requests",
            "rate_limit_exceeded",
        ),
        F.RATE_LIMITED,
    ),
    Row(
        "openai tpm",
        429,
        openai(
            "Rate limit reached for gpt-4o in organization org-abc on tokens per min (TPM): "
            "Limit 30000, Used 29000, Requested 2000. Please try again in 2s. Visit "
            "https://platform.openai.com/account/rate-limits to learn more.",
            "tokens",
            "rate_limit_exceeded",
        ),
        F.RATE_LIMITED,
    ),
    Row(
        "openai larger than the minute's allowance",
        429,
        openai(
            "Request too large for gpt-4o in organization org-abc on tokens per min (TPM): "
            "Limit 30000, Requested 61024. The input or output tokens must be reduced in order "
            "to run successfully.",
            "tokens",
            "rate_limit_exceeded",
        ),
        F.CONTEXT_LENGTH,
    ),
    Row(
        "openai quota",
        429,
        openai(
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "insufficient_quota",
        ),
        F.QUOTA_EXHAUSTED,
    ),
    Row(
        "openai billing limit",
        400,
        openai(
            "Billing hard limit has been reached",
            "invalid_request_error",
            "billing_hard_limit_reached",
        ),
        F.QUOTA_EXHAUSTED,
    ),
    Row(
        "openai billing inactive",
        429,
        openai(
            "Your account is not active, please check your billing details on our website.",
            "billing_not_active",
            "billing_not_active",
        ),
        F.QUOTA_EXHAUSTED,
    ),
    Row(
        "openai context",
        400,
        openai(
            "This model's maximum context length is 128000 tokens. However, your messages "
            "resulted in 131072 tokens. Please reduce the length of the messages.",
            "invalid_request_error",
            "context_length_exceeded",
            "messages",
        ),
        F.CONTEXT_LENGTH,
    ),
    Row(
        "openai responses context",
        400,
        openai(
            "Your input exceeds the context window of this model. Please adjust your input and "
            "try again.",
            "invalid_request_error",
            "context_length_exceeded",
            "input",
        ),
        F.CONTEXT_LENGTH,
    ),
    Row(
        "openai string",
        400,
        openai(
            "Invalid 'messages[0].content': string too long. Expected a string with maximum "
            "length 10485760, but got a string with length 12000000 instead.",
            "invalid_request_error",
            "string_above_max_length",
        ),
        F.CONTEXT_LENGTH,
    ),
    Row(
        "openai parameter",
        400,
        openai(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "invalid_request_error",
            "unsupported_parameter",
            "max_tokens",
        ),
        F.INVALID_REQUEST,
    ),
    Row(
        "openai value",
        400,
        openai(
            "max_tokens is too large: 100000. This model supports at most 16384 completion "
            "tokens, whereas you provided 100000.",
            "invalid_request_error",
            "invalid_value",
            "max_tokens",
        ),
        F.INVALID_REQUEST,
    ),
    Row(
        "openai schema named like a bill",
        400,
        openai(
            "Invalid schema for response_format 'billing_authentication': In context=(), "
            "'additionalProperties' is required to be supplied and to be false.",
            "invalid_request_error",
            None,
            "response_format",
        ),
        F.INVALID_REQUEST,
    ),
    Row(
        "openai flagged",
        400,
        openai(
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy. "
            "Please try again with a different prompt",
            "invalid_request_error",
            "invalid_prompt",
        ),
        F.CONTENT_FILTER,
    ),
    Row(
        "openai content policy",
        400,
        openai(
            "Your request was rejected as a result of our safety system.",
            "invalid_request_error",
            "content_policy_violation",
        ),
        F.CONTENT_FILTER,
    ),
    Row(
        "openai server",
        500,
        openai(
            "The server had an error while processing your request. Sorry about that!",
            "server_error",
            None,
        ),
        F.SERVER_ERROR,
    ),
    Row(
        "openai engine",
        503,
        openai("The engine is currently overloaded, please try again later", "server_error", None),
        F.OVERLOADED,
    ),
    Row(
        "openai slow down",
        503,
        openai("Slow Down", "service_unavailable", "slow_down"),
        F.OVERLOADED,
    ),
    Row(
        "openai conflict",
        409,
        openai("Another process is in the process of updating this resource.", "conflict", None),
        F.SERVER_ERROR,
    ),
]

AZURE = [
    Row(
        "azure filter",
        400,
        {
            "error": {
                "message": "The response was filtered due to the prompt triggering Azure OpenAI's "
                "content management policy. Please modify your prompt and retry.",
                "type": None,
                "param": "prompt",
                "code": "content_filter",
                "status": 400,
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
        F.CONTENT_FILTER,
    ),
    Row(
        "azure filter by inner code",
        400,
        {
            "error": {
                "message": "Bad request",
                "code": "bad",
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
        F.CONTENT_FILTER,
    ),
    Row(
        "azure deployment",
        404,
        {
            "error": {
                "code": "DeploymentNotFound",
                "message": "The API deployment for this resource does not exist.",
            }
        },
        F.MODEL_NOT_FOUND,
    ),
    Row(
        "azure limit",
        429,
        {
            "error": {
                "code": "429",
                "message": "Requests to the ChatCompletions_Create Operation under "
                "Azure OpenAI API version 2024-02-01 have exceeded token rate limit of your "
                "current OpenAI S0 pricing tier. Please retry after 6 seconds.",
            }
        },
        F.RATE_LIMITED,
    ),
    Row(
        "azure key",
        401,
        {
            "error": {
                "code": "401",
                "message": "Access denied due to invalid subscription key or wrong API endpoint.",
            }
        },
        F.AUTHENTICATION,
    ),
    Row(
        "azure gateway",
        401,
        {
            "statusCode": 401,
            "message": "Unauthorized. Access token is missing, invalid, audience is "
            "incorrect or have expired.",
        },
        F.AUTHENTICATION,
    ),
]

COMPATIBLE = [
    Row(
        "vllm context",
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, "
            "you requested 5133 tokens (5005 in the messages, 128 in the completion).",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        F.CONTEXT_LENGTH,
    ),
    Row(
        "vllm decoder prompt",
        400,
        {
            "error": {
                "message": "The decoder prompt (length 5210) is longer than the maximum model "
                "length of 4096. Make sure that `max_model_len` is no smaller than the number of "
                "text tokens.",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            }
        },
        F.CONTEXT_LENGTH,
    ),
    Row(
        "vllm nothing left",
        400,
        {
            "object": "error",
            "message": "max_tokens must be at least 1, got -904.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        F.CONTEXT_LENGTH,
    ),
    Row(
        "vllm model",
        404,
        {
            "object": "error",
            "message": "The model `llama` does not exist.",
            "type": "NotFoundError",
            "param": None,
            "code": 404,
        },
        F.MODEL_NOT_FOUND,
    ),
    Row("vllm key", 401, {"error": "Unauthorized"}, F.AUTHENTICATION),
    Row(
        "vllm validation",
        400,
        {
            "object": "error",
            "message": "[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': "
            "'Field required'}]",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        F.INVALID_REQUEST,
    ),
    Row(
        "vllm engine",
        500,
        {
            "object": "error",
            "message": "EngineCore encountered an issue. See stack trace (above) for "
            "the root cause.",
            "type": "InternalServerError",
            "param": None,
            "code": 500,
        },
        F.SERVER_ERROR,
    ),
    Row(
        "sglang context",
        400,
        {
            "object": "error",
            "message": "The input (5012 tokens) is longer than the model's context "
            "length (4096 tokens).",
            "type": "BadRequest",
            "param": None,
            "code": 400,
        },
        F.CONTEXT_LENGTH,
    ),
    Row(
        "ollama model",
        404,
        {
            "error": {
                "message": 'model "gemma9" not found, try pulling it first',
                "type": "api_error",
                "param": None,
                "code": None,
            }
        },
        F.MODEL_NOT_FOUND,
    ),
    Row("ollama plain", 404, {"error": "model 'gemma9' not found"}, F.MODEL_NOT_FOUND),
    Row(
        "ollama busy",
        503,
        {"error": "server busy, please try again.  maximum pending requests exceeded"},
        F.OVERLOADED,
    ),
    Row(
        "ollama runner",
        500,
        {
            "error": {
                "message": "llama runner process has terminated: exit status 2",
                "type": "api_error",
                "param": None,
                "code": None,
            }
        },
        F.SERVER_ERROR,
    ),
    Row(
        "llama.cpp context",
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9012,
                "n_ctx": 4096,
            }
        },
        F.CONTEXT_LENGTH,
    ),
    Row(
        "llama.cpp context as 500",
        500,
        {
            "error": {
                "code": 500,
                "message": "the request exceeds the available context size. try "
                "increasing the context size or enable context shift",
                "type": "server_error",
            }
        },
        F.CONTEXT_LENGTH,
    ),
    Row(
        "llama.cpp loading",
        503,
        {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
        F.OVERLOADED,
    ),
    Row(
        "llama.cpp key",
        401,
        {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}},
        F.AUTHENTICATION,
    ),
    Row(
        "tgi context",
        422,
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. "
            "Given: 5012 `inputs` tokens and 20 `max_new_tokens`",
            "error_type": "validation",
        },
        F.CONTEXT_LENGTH,
    ),
    Row(
        "tgi overloaded",
        429,
        {"error": "Model is overloaded", "error_type": "overloaded"},
        F.OVERLOADED,
    ),
    Row(
        "openrouter credit",
        402,
        {
            "error": {
                "message": "Insufficient credits. Add more using https://openrouter.ai/credits",
                "code": 402,
            }
        },
        F.QUOTA_EXHAUSTED,
    ),
    Row(
        "openrouter in 200",
        200,
        {
            "error": {
                "message": "Provider returned error",
                "code": 429,
                "metadata": {
                    "raw": "gemma is temporarily rate-limited upstream",
                    "provider_name": "X",
                },
            }
        },
        F.RATE_LIMITED,
    ),
    Row(
        "openrouter in a choice",
        200,
        {
            "id": "gen-1",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "error",
                    "message": {"role": "assistant", "content": "Once"},
                    "error": {"code": 502, "message": "Upstream connection lost"},
                }
            ],
        },
        F.SERVER_ERROR,
    ),
    Row(
        "openrouter moderation",
        403,
        {
            "error": {
                "code": 403,
                "message": "openai/gpt-4o requires moderation. Your input was "
                'flagged for "harassment".',
                "metadata": {"reasons": ["harassment"], "flagged_input": "…"},
            }
        },
        F.CONTENT_FILTER,
    ),
    Row(
        "openrouter no endpoints",
        404,
        {"error": {"message": "No endpoints found for nobody/nothing.", "code": 404}},
        F.MODEL_NOT_FOUND,
    ),
    Row(
        "openrouter model",
        400,
        {"error": {"message": "nobody/nothing is not a valid model ID", "code": 400}},
        F.MODEL_NOT_FOUND,
    ),
    Row(
        "openrouter key",
        401,
        {"error": {"message": "No auth credentials found", "code": 401}},
        F.AUTHENTICATION,
    ),
    Row(
        "openrouter context",
        400,
        {
            "error": {
                "message": "This endpoint's maximum context length is 8192 tokens. However, you "
                "requested about 9000 tokens (8000 of text input, 1000 in the output). Please "
                "reduce the length of either one.",
                "code": 400,
            }
        },
        F.CONTEXT_LENGTH,
    ),
    Row(
        "groq rate",
        429,
        {
            "error": {
                "message": "Rate limit reached for model `llama-3.3-70b-versatile` in "
                "organization `org_01` service tier `on_demand` on requests per day (RPD): Limit "
                "1000, Used 1000, Requested 1. Please try again in 1m26.4s.",
                "type": "requests",
                "code": "rate_limit_exceeded",
            }
        },
        F.RATE_LIMITED,
    ),
    Row(
        "groq too large",
        413,
        {
            "error": {
                "message": "Request too large for model `llama-3.1-8b-instant` in organization "
                "`org_01` on tokens per minute (TPM): Limit 6000, Requested 9042, please reduce "
                "your message size and try again.",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            }
        },
        F.CONTEXT_LENGTH,
    ),
    Row(
        "groq model",
        400,
        {
            "error": {
                "message": "The model `mixtral-8x7b-32768` has been decommissioned and is no "
                "longer supported.",
                "type": "invalid_request_error",
                "code": "model_decommissioned",
            }
        },
        F.MODEL_NOT_FOUND,
    ),
    Row(
        "groq json",
        400,
        {
            "error": {
                "message": "Failed to generate JSON. Please adjust your prompt. See "
                "'failed_generation' for more details.",
                "type": "invalid_request_error",
                "code": "json_validate_failed",
                "failed_generation": "Sure!",
            }
        },
        F.INVALID_REQUEST,
    ),
    Row(
        "gemini key",
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid. Please pass a valid API key.",
                    "status": "INVALID_ARGUMENT",
                    "details": [
                        {
                            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                            "reason": "API_KEY_INVALID",
                            "domain": "googleapis.com",
                        }
                    ],
                }
            }
        ],
        F.AUTHENTICATION,
    ),
    Row(
        "gemini context",
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (1200123) exceeds the maximum "
                    "number of tokens allowed (1048575).",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        F.CONTEXT_LENGTH,
    ),
    Row(
        "gemini minute",
        429,
        [
            {
                "error": {
                    "code": 429,
                    "message": "You exceeded your current quota, please check your plan "
                    "and billing details.\n* Quota exceeded for metric: generate_content_requests, "
                    "limit: 15\nPlease retry in 34.074824224s.",
                    "status": "RESOURCE_EXHAUSTED",
                }
            }
        ],
        F.RATE_LIMITED,
    ),
    Row(
        "gemini day",
        429,
        [
            {
                "error": {
                    "code": 429,
                    "message": "You exceeded your current quota, please check your plan "
                    "and billing details. Quota: GenerateRequestsPerDayPerProjectPerModel. Please "
                    "retry in 34.07s.",
                    "status": "RESOURCE_EXHAUSTED",
                }
            }
        ],
        F.QUOTA_EXHAUSTED,
    ),
    Row(
        "gemini overloaded",
        503,
        [
            {
                "error": {
                    "code": 503,
                    "message": "The model is overloaded. Please try again later.",
                    "status": "UNAVAILABLE",
                }
            }
        ],
        F.OVERLOADED,
    ),
    Row(
        "gemini model",
        404,
        [
            {
                "error": {
                    "code": 404,
                    "message": "models/gemini-9 is not found for API version v1main, or "
                    "is not supported for generateContent.",
                    "status": "NOT_FOUND",
                }
            }
        ],
        F.MODEL_NOT_FOUND,
    ),
    Row(
        "litellm key",
        401,
        {
            "error": {
                "message": "Authentication Error, Invalid proxy server token passed. Received API "
                "Key = sk-...9999, Key Hash (Token) =88dc28. Unable to find token in cache or "
                "`LiteLLM_VerificationTokenTable`",
                "type": "token_not_found_in_db",
                "param": "key",
                "code": "401",
            }
        },
        F.AUTHENTICATION,
    ),
    Row(
        "litellm budget",
        400,
        {
            "error": {
                "message": "Budget has been exceeded! Current cost: 0.3, Max budget: 0.2",
                "type": "budget_exceeded",
                "param": None,
                "code": "400",
            }
        },
        F.QUOTA_EXHAUSTED,
    ),
    Row(
        "litellm wrapped status",
        500,
        {
            "error": {
                "message": "litellm.RateLimitError: AnthropicException - rate_limit_error",
                "type": None,
                "param": None,
                "code": "429",
            }
        },
        F.RATE_LIMITED,
    ),
    Row(
        "litellm context",
        400,
        {
            "error": {
                "message": "litellm.ContextWindowExceededError: litellm.BadRequestError: "
                "OpenAIException - This model's maximum context length is 8192 tokens.",
                "type": None,
                "param": None,
                "code": "400",
            }
        },
        F.CONTEXT_LENGTH,
    ),
    Row(
        "mistral context",
        400,
        {
            "object": "error",
            "message": "Prompt contains 40012 tokens and 0 draft tokens, too large "
            "for model with 32768 maximum context length",
            "type": "invalid_request_prompt",
            "code": "3051",
        },
        F.CONTEXT_LENGTH,
    ),
    Row("mistral key", 401, {"detail": "Unauthorized"}, F.AUTHENTICATION),
    Row("mistral limit", 429, {"message": "Requests rate limit exceeded"}, F.RATE_LIMITED),
    Row(
        "mistral model",
        400,
        {
            "object": "error",
            "message": "Invalid model: nothing",
            "type": "invalid_model",
            "code": "1500",
        },
        F.MODEL_NOT_FOUND,
    ),
    Row(
        "deepseek balance",
        402,
        {
            "error": {
                "message": "Insufficient Balance",
                "type": "unknown_error",
                "param": None,
                "code": "invalid_request_error",
            }
        },
        F.QUOTA_EXHAUSTED,
    ),
    Row(
        "xai key",
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "Incorrect API key provided: xa***99. You can obtain an API key from "
            "https://console.x.ai.",
        },
        F.AUTHENTICATION,
    ),
    Row(
        "xai context",
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt "
            "length is 131072 but the request contains 200123 tokens.",
        },
        F.CONTEXT_LENGTH,
    ),
    Row(
        "bedrock context",
        400,
        {"message": "Input is too long for requested model."},
        F.CONTEXT_LENGTH,
    ),
    Row(
        "cerebras context",
        400,
        {
            "message": "Please reduce the length of the messages or completion. Current length is 9012 "
            "while limit is 8192",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        },
        F.CONTEXT_LENGTH,
    ),
    Row(
        "dashscope filter",
        400,
        {
            "error": {
                "code": "data_inspection_failed",
                "param": None,
                "message": "Input data may contain inappropriate content.",
                "type": "data_inspection_failed",
            }
        },
        F.CONTENT_FILTER,
    ),
    Row(
        "fastapi validation",
        422,
        {"detail": [{"type": "missing", "loc": ["body", "model"], "msg": "Field required"}]},
        F.INVALID_REQUEST,
    ),
    Row("fastapi path", 404, {"detail": "Not Found"}, F.MODEL_NOT_FOUND),
]

ANTHROPIC = [
    Row(
        "anthropic key",
        401,
        anthropic("authentication_error", "invalid x-api-key"),
        F.AUTHENTICATION,
    ),
    Row(
        "anthropic permission",
        403,
        anthropic(
            "permission_error",
            "Your API key does not have permission to use the specified resource.",
        ),
        F.PERMISSION,
    ),
    Row(
        "anthropic model",
        404,
        anthropic("not_found_error", "model: claude-nine"),
        F.MODEL_NOT_FOUND,
    ),
    Row(
        "anthropic rate",
        429,
        anthropic(
            "rate_limit_error",
            "This request would exceed your organization's rate limit of "
            "40,000 input tokens per minute. For details, refer to: https://docs.claude.com. "
            "You can see the response headers for current usage.",
        ),
        F.RATE_LIMITED,
    ),
    Row(
        "anthropic acceleration",
        429,
        anthropic(
            "rate_limit_error", "Number of request tokens has exceeded your per-minute rate limit"
        ),
        F.RATE_LIMITED,
    ),
    Row("anthropic overloaded", 529, anthropic("overloaded_error", "Overloaded"), F.OVERLOADED),
    Row(
        "anthropic overloaded within 200",
        200,
        anthropic("overloaded_error", "Overloaded"),
        F.OVERLOADED,
    ),
    Row(
        "anthropic credit",
        400,
        anthropic(
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic "
            "API. Please go to Plans & Billing to upgrade or purchase credits.",
        ),
        F.QUOTA_EXHAUSTED,
    ),
    Row(
        "anthropic usage limit",
        400,
        anthropic(
            "invalid_request_error",
            "You have reached your specified API usage limits. You "
            "will regain access on 2026-12-01 at 00:00 UTC.",
        ),
        F.QUOTA_EXHAUSTED,
    ),
    Row(
        "anthropic billing",
        402,
        anthropic("billing_error", "There is an issue with your billing"),
        F.QUOTA_EXHAUSTED,
    ),
    Row(
        "anthropic context",
        400,
        anthropic("invalid_request_error", "prompt is too long: 210123 tokens > 200000 maximum"),
        F.CONTEXT_LENGTH,
    ),
    Row(
        "anthropic context with limit",
        400,
        anthropic(
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: "
            "190123 + 20000 > 200000, decrease input length or `max_tokens` and try again",
        ),
        F.CONTEXT_LENGTH,
    ),
    Row(
        "anthropic size",
        413,
        anthropic("request_too_large", "Request exceeds the maximum size"),
        F.CONTEXT_LENGTH,
    ),
    Row(
        "anthropic filter",
        400,
        anthropic("invalid_request_error", "Output blocked by content filtering policy"),
        F.CONTENT_FILTER,
    ),
    Row(
        "anthropic request",
        400,
        anthropic(
            "invalid_request_error",
            "max_tokens: 100000 > 64000, which is the maximum allowed "
            "number of output tokens for claude-sonnet-4",
        ),
        F.INVALID_REQUEST,
    ),
    Row(
        "anthropic empty message",
        400,
        anthropic("invalid_request_error", "messages: text content blocks must be non-empty"),
        F.INVALID_REQUEST,
    ),
    Row("anthropic server", 500, anthropic("api_error", "Internal server error"), F.SERVER_ERROR),
    Row("anthropic timeout", 504, anthropic("timeout_error", "Request timed out"), F.TIMEOUT),
]

GATEWAYS = [
    Row(
        "nginx 502", 502, "<html><head><title>502 Bad Gateway</title></head></html>", F.SERVER_ERROR
    ),
    Row(
        "nginx 504", 504, "<html><head><title>504 Gateway Time-out</title></head></html>", F.TIMEOUT
    ),
    Row("cloudflare 524", 524, "<!DOCTYPE html><html>A timeout occurred</html>", F.TIMEOUT),
    Row("cloudflare 520", 520, "error code: 520", F.SERVER_ERROR),
    Row(
        "nginx 413",
        413,
        "<html><title>413 Request Entity Too Large</title></html>",
        F.CONTEXT_LENGTH,
    ),
    Row("nginx 404", 404, "<html><title>404 Not Found</title></html>", F.MODEL_NOT_FOUND),
    Row("plain 500", 500, "Internal Server Error", F.SERVER_ERROR),
    Row("plain 500 about the key", 500, "Invalid API key", F.AUTHENTICATION),
    Row("plain 429", 429, "Too Many Requests", F.RATE_LIMITED),
    Row(
        "plain 503", 503, "upstream connect error or disconnect/reset before headers", F.OVERLOADED
    ),
    Row("empty 500", 500, "", F.SERVER_ERROR),
    Row("empty 401", 401, "", F.AUTHENTICATION),
    Row("408", 408, "", F.TIMEOUT),
    Row("redirect", 301, "", F.SERVER_ERROR),
    Row("null in 400", 400, None, F.INVALID_REQUEST),
    Row("list in 400", 400, [], F.INVALID_REQUEST),
    Row("number in 400", 400, 7, F.INVALID_REQUEST),
    Row(
        "odd types in 400",
        400,
        {"error": {"message": {"a": 1}, "type": 3, "code": [1]}},
        F.INVALID_REQUEST,
    ),
]

ROWS = [*OPENAI, *AZURE, *COMPATIBLE, *ANTHROPIC, *GATEWAYS]
# Shapes of a 200 that belong to one wire format.
ONLY_CHAT = frozenset({"openrouter in a choice"})
