"""How Kimi's endpoints and their likes want to be asked, and what their errors mean."""

import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, cast

from kimi_code.errors import (
    AuthError,
    BadRequest,
    ContentFiltered,
    ContextFull,
    ModelError,
    ModelUnavailable,
    QuotaExceeded,
    RateLimited,
)
from kimi_code.llm.model import Profile, Thinking
from kimi_code.llm.wire import Echo

CONTEXT_FULL = (
    "model token limit",
    "context_length_exceeded",
    "maximum context length",
    "exceed_context_size",
    "available context size",
    "maximum model length",
    "max_model_len",
    "exceeds the context length",
    "exceeds context length",
    "context length of only",
    "context window",
    "input length and max_tokens exceed",
    "prompt is too long",
    "input is too long",
    "too many tokens",
)
FILTERED = ("content_filter", "content filter", "content_policy", "considered high risk", "data_inspection_failed")
# Types that say "rate" whatever their text says about quotas.
RATE = ("rate_limit_reached_error", "engine_overloaded_error", "rate_limit_exceeded")
QUOTA = ("quota", "balance", "billing", "suspended", "credit", "usage limit")
NO_TOOLS = re.compile(
    r"(?:not support|unsupported|no support|--enable-auto-tool-choice).{0,40}(?:tool|function)|--jinja"
)
WAIT_IN_TEXT = re.compile(r"(?:again|retry) (?:after|in) ([\d.]+) ?(ms|s|m)", re.IGNORECASE)
DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")

OPEN_PLATFORM = "https://api.moonshot.ai/v1"


# --- Asking -------------------------------------------------------------------------------------------------------


def thinking_fields(profile: Profile, thinking: Thinking | None) -> dict[str, object]:
    """The body fields that set `thinking`, in the profile's style; none for the server's own default."""
    if thinking is None:
        return {"thinking": {"type": "enabled", "keep": "all"}} if _keeps(profile, thinking) else {}
    on = thinking != "off"
    match profile.thinking:
        case "none":
            return {}
        case "reasoning_effort":
            effort = effort_for(profile.efforts, thinking)
            return {"reasoning_effort": effort} if effort else {}
        case "chat_template_kwargs":
            # The name differs between templates, and each ignores what it does not know.
            return {"chat_template_kwargs": {"thinking": on, "enable_thinking": on}, **_sampling(profile, on)}
        case "thinking" | "thinking_effort":
            if not on:
                return {} if profile.always_thinks else {"thinking": {"type": "disabled"}}
            setting: dict[str, object] = {"type": "enabled"}
            if profile.thinking == "thinking_effort" and (effort := effort_for(profile.efforts, thinking)):
                setting["effort"] = effort
            if _keeps(profile, thinking):
                setting["keep"] = "all"
            return {"thinking": setting}


def effort_for(efforts: Iterable[str], thinking: Thinking) -> str:
    """The nearest of a server's efforts; "" for its default."""
    wanted = {
        "off": ("none", "minimal", "low"),
        "on": (),
        "low": ("low", "minimal"),
        "high": ("high", "max", "medium"),
        "max": ("max", "xhigh", "high"),
    }
    known = tuple(efforts)
    return next((effort for effort in wanted[thinking] if effort in known), "")


def echo_for(profile: Profile, thinking: Thinking | None) -> Echo:
    """Which assistant messages must go back with their reasoning: without it the server answers 400."""
    if not profile.echo_thought or (thinking == "off" and not profile.always_thinks):
        return "none"
    return "all" if profile.keep_thoughts else "calls"


def _keeps(profile: Profile, thinking: Thinking | None) -> bool:
    return profile.keep_thoughts and thinking != "off" and profile.thinking in ("thinking", "thinking_effort")


def _sampling(profile: Profile, on: bool) -> dict[str, object]:
    """Self-hosted K2.5 has no sampling of its own: its makers give these; all other servers choose for themselves."""
    if not profile.id.lower().rpartition("/")[2].startswith("kimi-k2.5"):
        return {}
    return {"temperature": 1.0 if on else 0.6, "top_p": 0.95}


# --- Errors -------------------------------------------------------------------------------------------------------


def model_error(
    status: int, body: str, headers: Mapping[str, str], *, base_url: str, model: str = "", now: float | None = None
) -> ModelError:
    """The error that an HTTP answer means. `headers` must find names in any case; `now` is Unix time."""
    text, kind = error_text(body)
    words = f"{kind} {text}".lower()
    trace_id = trace_of(headers)
    said = f"{text} (HTTP {status})" if text else f"the server answered HTTP {status} and said nothing"

    def plain(error: type[ModelError], message: str, hint: str = "") -> ModelError:
        return error(message, hint=hint, status=status, trace_id=trace_id)

    if status in (400, 413, 422, 500) and (status == 413 or _any(CONTEXT_FULL, words)):
        return plain(ContextFull, f"The request is longer than the model's context: {said}")
    if status in (400, 403, 422) and _any(FILTERED, words):
        return plain(ContentFiltered, f"The provider refuses this content: {said}", "Rephrase, or leave that part out.")
    if status == 401:
        return plain(AuthError, f"The server refused the API key: {said}", _key_hint(base_url))
    if status == 403:
        return plain(AuthError, f"The server refuses access: {said}", _access_hint(base_url, words))
    if status == 402 or (status == 429 and not _any(RATE, words) and _any(QUOTA, words)):
        hint = "Top up or raise the limit in the provider's console, or choose another provider or model."
        return plain(QuotaExceeded, f"The account's limit is reached: {said}", hint)
    if status == 429:
        wait = retry_after(headers, text, time.time() if now is None else now)
        return RateLimited(f"Rate limited: {said}", status=status, trace_id=trace_id, retry_after=wait)
    if status in (408, 409, 425) or (status >= 500 and status != 501):
        return plain(ModelUnavailable, f"The server failed: {said}")
    if status == 404:
        hint = (
            f"Either the base URL {base_url} is wrong (it usually ends in /v1) or the model {model!r} does not exist "
            "there: `kimi-code models` lists what the server offers."
        )
        return plain(BadRequest, f"Not found: {said}", hint)
    if NO_TOOLS.search(words):
        hint = "An agent needs a model with tool calling: choose another model, or start the server with tools enabled."
        return plain(BadRequest, f"The model {model!r} cannot call tools here: {said}", hint)
    return plain(BadRequest, f"The server refuses the request: {said}")


def error_text(body: str) -> tuple[str, str]:
    """What an error body says, and its type and code in one string. A web page is cut down to its words."""
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        return first_words(body), ""
    if not isinstance(parsed, dict):
        return first_words(body), ""
    whole = cast(dict[str, Any], parsed)
    error: Any = whole.get("error") or whole
    if not isinstance(error, dict):
        return first_words(str(error)), ""
    fields = cast(dict[str, Any], error)
    text = fields.get("message") or fields.get("detail") or fields.get("msg") or whole.get("message") or body
    kind = " ".join(str(fields[name]) for name in ("type", "code") if fields.get(name))
    return first_words(str(text), 500), kind


def first_words(text: str, limit: int = 200) -> str:
    """The beginning of what `text` says: one line, markup left out."""
    if "<" in text:
        text = re.sub(r"(?s)<(script|style).*?</\1>|<!--.*?-->|<[^>]*>", " ", text[:20_000])
    words = " ".join(text[:20_000].split())
    return words if len(words) <= limit else words[:limit] + "…"


def trace_of(headers: Mapping[str, str]) -> str:
    """The id that a provider's support asks for."""
    return headers.get("x-trace-id") or headers.get("x-request-id") or headers.get("msh-request-id") or ""


def retry_after(headers: Mapping[str, str], text: str, now: float) -> float | None:
    """Seconds to wait, from Retry-After (seconds or a date), X-RateLimit-Reset, or the error's own words."""
    after = headers.get("retry-after", "")
    for wait in (
        _scaled(headers.get("retry-after-ms", ""), 0.001),
        _scaled(after, 1.0),
        _until_date(after, now),
        reset_in(headers.get("x-ratelimit-reset", ""), now),
        _named_wait(text),
    ):
        if wait is not None and math.isfinite(wait):
            return max(wait, 0.0)
    return None


def _scaled(number: str, factor: float) -> float | None:
    try:
        return float(number) * factor
    except ValueError:
        return None


def _until_date(text: str, now: float) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, IndexError):
        return None


def reset_in(text: str, now: float) -> float | None:
    """Providers send seconds from now, a Unix time in seconds or milliseconds, or a duration such as 6m0s."""
    number = _scaled(text, 1.0)
    if number is not None:
        return number if number < 1e8 else (number / 1000 if number > 1e11 else number) - now
    found = DURATION.fullmatch(text.strip())
    if not text or not found:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _named_wait(text: str) -> float | None:
    found = WAIT_IN_TEXT.search(text)
    return _scaled(found[1].rstrip("."), {"ms": 0.001, "s": 1.0, "m": 60.0}[found[2].lower()]) if found else None


def _key_hint(base_url: str) -> str:
    for here, there in ((".moonshot.ai", ".moonshot.cn"), (".moonshot.cn", ".moonshot.ai")):
        if here in base_url:
            other = base_url.replace(here, there)
            return (
                f"Keys are bound to a region: a key made on platform{there} works only with {other}. "
                f"If yours is one, set KIMI_BASE_URL={other}; else check the key (KIMI_API_KEY)."
            )
    return f"Check that the key belongs to {base_url}."


def _access_hint(base_url: str, words: str) -> str:
    if "access_terminated" in words or "/coding" in base_url:
        return (
            "This endpoint serves only the clients it knows, or the usage of its billing cycle is used up. "
            f"Use the open platform: a key from platform.moonshot.ai with KIMI_BASE_URL={OPEN_PLATFORM}."
        )
    return f"The key is known but may not use this model or endpoint ({base_url})."


def _any(texts: Iterable[str], words: str) -> bool:
    return any(text in words for text in texts)
