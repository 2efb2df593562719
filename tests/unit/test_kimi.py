"""Thinking modes, echo rule, profiles and waits."""

from typing import Any

import pytest

from kimi_code.errors import ConfigError
from kimi_code.llm.kimi import echo_for, error_text, first_words, model_error, retry_after, thinking_fields
from kimi_code.llm.model import Price, Profile
from kimi_code.llm.profiles import profile_for
from kimi_code.messages import Usage

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("model", "kind", "thinking", "expected"),
    [
        ("kimi-k2.6", "moonshot", None, {}),
        ("kimi-k2.6", "moonshot", "off", {"thinking": {"type": "disabled"}}),
        ("kimi-k2.6", "moonshot", "on", {"thinking": {"type": "enabled"}}),
        ("kimi-k2.6", "moonshot", "max", {"thinking": {"type": "enabled"}}),
        ("kimi-k2-thinking", "moonshot", "off", {}),
        ("kimi-k3", "moonshot", "off", {"thinking": {"type": "disabled"}}),
        ("kimi-k3", "moonshot", "on", {"thinking": {"type": "enabled"}}),
        ("kimi-k3", "moonshot", "low", {"thinking": {"type": "enabled", "effort": "low"}}),
        ("kimi-k3", "moonshot", "max", {"thinking": {"type": "enabled", "effort": "max"}}),
        ("kimi-k2-0905-preview", "moonshot", "high", {}),
        ("gpt-5", "openai", "off", {"reasoning_effort": "minimal"}),
        ("gpt-5.1", "openai", "off", {"reasoning_effort": "none"}),
        ("gpt-5", "openai", "on", {}),
        ("gpt-5", "openai", "max", {"reasoning_effort": "high"}),
        ("o3-mini", "openai", "off", {"reasoning_effort": "low"}),
        ("zai-org/GLM-4.6", "local", "off", {"chat_template_kwargs": {"thinking": False, "enable_thinking": False}}),
        (
            "moonshotai/Kimi-K2.5",
            "local",
            "off",
            {"chat_template_kwargs": {"thinking": False, "enable_thinking": False}, "temperature": 0.6, "top_p": 0.95},
        ),
        ("unknown", "openai", "max", {}),
    ],
)
def test_one_setting_becomes_what_each_model_understands(model: str, kind: Any, thinking: Any, expected: Any) -> None:
    assert thinking_fields(profile_for(model, kind), thinking) == expected


def test_kept_thoughts_are_asked_for_only_while_thinking_and_all_go_back() -> None:
    profile = profile_for("kimi-k2.6", "moonshot", {"keep_thoughts": True})
    assert thinking_fields(profile, None) == {"thinking": {"type": "enabled", "keep": "all"}}
    assert thinking_fields(profile, "on") == {"thinking": {"type": "enabled", "keep": "all"}}
    assert thinking_fields(profile, "off") == {"thinking": {"type": "disabled"}}
    assert [echo_for(profile, thinking) for thinking in (None, "on", "off")] == ["all", "all", "none"]


def test_thoughts_go_back_with_calls_while_the_model_may_think() -> None:
    kimi = profile_for("kimi-k2.6", "moonshot")
    assert [echo_for(kimi, thinking) for thinking in (None, "on", "off")] == ["calls", "calls", "none"]
    assert echo_for(profile_for("kimi-k2-thinking", "moonshot"), "off") == "calls"
    assert echo_for(profile_for("gpt-5"), "high") == "none"


@pytest.mark.parametrize(
    ("model", "context"),
    [
        ("kimi-k3-preview", 1_048_576),
        ("kimi-k2.7-code", 262_144),
        ("moonshotai/Kimi-K2.5", 262_144),
        ("kimi-k2-0711-preview", 131_072),
        ("moonshot-v1-8k", 8_192),
        ("gpt-4.1-mini", 1_047_576),
        ("qwen3-coder:30b", 262_144),
        ("something-else", 131_072),
    ],
)
def test_the_longest_prefix_of_the_id_chooses_the_profile(model: str, context: int) -> None:
    profile = profile_for(model, "moonshot")
    assert (profile.id, profile.context) == (model, context)


def test_the_cache_key_is_for_those_who_know_it() -> None:
    assert profile_for("kimi-k3", "moonshot").prompt_cache_key
    assert profile_for("gpt-5", "openai").prompt_cache_key
    assert not profile_for("gpt-oss:20b", "local").prompt_cache_key


def test_prices_are_those_of_the_one_provider_whose_list_they_come_from() -> None:
    usage = Usage(input=2_000_000, cached=1_000_000, output=100_000)
    price = profile_for("kimi-k2.5", "moonshot").price
    assert price is not None
    assert round(price.cost(usage), 9) == 1.0
    assert profile_for("moonshotai/kimi-k2.5", "openai").price is None
    assert profile_for("kimi-k2.5", "local").price is None
    assert profile_for("kimi-k3", "moonshot").price is None


def test_a_profile_can_be_overridden_in_part() -> None:
    price = {"input": 0.6, "cached": 0.1, "output": 2.5, "noted": "2026-11-01"}
    profile = profile_for("kimi-k3", "moonshot", {"context": 1000, "price": price, "efforts": ["low"]})
    assert (profile.context, profile.echo_thought, profile.efforts) == (1000, True, ("low",))
    assert profile.price == Price(0.6, 0.1, 2.5, "2026-11-01")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"contxt": 1}, "contxt"),
        ({"context": "big"}, "context"),
        ({"thinking": "deep"}, "thinking"),
        ({"id": "x"}, "id"),
    ],
)
def test_a_wrong_override_is_named(overrides: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        profile_for("kimi-k3", "moonshot", overrides)


@pytest.mark.parametrize(
    ("headers", "text", "expected"),
    [
        ({}, "", None),
        ({"retry-after": "7"}, "", 7.0),
        ({"retry-after": "-1"}, "", 0.0),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "Wed, 18 Nov 2026 11:06:50 GMT"}, "", 10.0),
        ({"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT"}, "", 0.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, "", 0.25),
        ({"x-ratelimit-reset": "12"}, "", 12.0),
        ({"x-ratelimit-reset": "1795000030"}, "", 30.0),
        ({"x-ratelimit-reset": "1795000030000"}, "", 30.0),
        ({"x-ratelimit-reset": "1m30.5s"}, "", 90.5),
        ({"x-ratelimit-reset": "20ms"}, "", 0.02),
        ({"x-ratelimit-reset": "whenever"}, "", None),
        ({}, "max RPM: 3, please try again after 1 seconds", 1.0),
        ({}, "Please try again in 350ms.", 0.35),
    ],
)
def test_the_wait_is_read_in_every_form(headers: dict[str, str], text: str, expected: float | None) -> None:
    wait = retry_after(headers, text, NOW)
    assert (wait if wait is None else round(wait, 6)) == expected


def test_a_refused_key_hints_at_the_other_region() -> None:
    hints = {host: model_error(401, "{}", {}, base_url=f"https://api.moonshot.{host}/v1").hint for host in ("ai", "cn")}
    assert "https://api.moonshot.cn/v1" in hints["ai"]
    assert "https://api.moonshot.ai/v1" in hints["cn"]
    assert "moonshot" not in model_error(401, "{}", {}, base_url="https://api.openai.com/v1").hint


def test_the_coding_endpoint_is_explained() -> None:
    body = '{"error": {"message": "Only for Kimi CLI", "type": "access_terminated_error"}}'
    error = model_error(403, body, {}, base_url="https://api.kimi.com/coding/v1")
    assert "Only for Kimi CLI" in error.message
    assert "https://api.moonshot.ai/v1" in error.hint


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"error": {"message": "m", "type": "t", "code": "c"}}', ("m", "t c")),
        ('{"error": "plain"}', ("plain", "")),
        ('{"message": "m", "code": 7}', ("m", "7")),
        ('{"detail": [{"msg": "field required"}]}', ("[{'msg': 'field required'}]", "")),
        ("upstream\n  timed   out", ("upstream timed out", "")),
        ("", ("", "")),
    ],
)
def test_what_an_error_body_says_is_found(body: str, expected: tuple[str, str]) -> None:
    assert error_text(body) == expected


def test_a_page_is_cut_down_to_its_first_words() -> None:
    page = "<html><style>a{}</style><script>if (a<b) x()</script><h1>Sign</h1> in</html>"
    assert first_words(page) == "Sign in"
    assert first_words("x" * 500, 10) == "x" * 10 + "…"


def test_a_generic_profile_sends_nothing_special() -> None:
    assert thinking_fields(Profile("m"), "high") == {}
