"""What is known about model families, chosen by the beginning of a model's id; the configuration may override it.

Prices are those of api.moonshot.ai in US dollars, without taxes: of its price list as it was on the day noted, of K2.6
and K2.7 as it was quoted then. Other providers' are theirs, and the configuration has to say them.
Which Kimi models see images: the platform's guide (use-kimi-vision-model); of K3, vLLM's class for it ("with Kimi-K2.5
vision"). Where a server says that others do too (`supports_image_in` of `GET /models`), it is believed.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any, Literal

from kimi_code.errors import ConfigError
from kimi_code.llm.model import Price, Profile

Kind = Literal["moonshot", "openai", "local"]


def _kimi(prefix: str, context: int = 262_144, **more: Any) -> Profile:
    return Profile(prefix, context=context, thinking="thinking", echo_thought=True, **more)


def _effort(prefix: str, context: int, *efforts: str, **more: Any) -> Profile:
    chosen = efforts or ("low", "medium", "high")
    return Profile(
        prefix, context=context, thinking="reasoning_effort", efforts=chosen, always_thinks="none" not in chosen, **more
    )


# The id of each is the prefix it stands for; the longest that fits is taken.
FAMILIES: tuple[Profile, ...] = (
    Profile(
        "kimi-k3",
        context=1_048_576,
        thinking="thinking_effort",
        efforts=("low", "high", "max"),
        echo_thought=True,
        vision=True,
    ),
    _kimi("kimi-k2.7-code", price=Price(0.95, 0.19, 4.0, "2026-06-30")),
    _kimi("kimi-k2.6", vision=True, price=Price(0.95, 0.16, 4.0, "2026-06-30")),
    _kimi("kimi-k2.5", vision=True, price=Price(0.6, 0.1, 3.0, "2026-03-26")),
    _kimi("kimi-k2-thinking", always_thinks=True),
    _kimi("kimi-for-coding"),
    Profile("kimi-k2", context=262_144),
    Profile("kimi-k2-0905", context=262_144, price=Price(0.6, 0.15, 2.5, "2026-03-26")),
    Profile("kimi-k2-0711", context=131_072, price=Price(0.6, 0.15, 2.5, "2026-03-26")),
    Profile("kimi"),
    Profile("moonshot"),
    Profile("moonshot-v1-8k", context=8_192),
    Profile("moonshot-v1-32k", context=32_768),
    Profile("moonshot-v1-8k-vision", context=8_192, vision=True),
    Profile("moonshot-v1-32k-vision", context=32_768, vision=True),
    Profile("moonshot-v1-128k-vision", vision=True),
    _effort("gpt-5", 400_000, "minimal", "low", "medium", "high", vision=True, response_format=True, apply_patch=True),
    _effort("gpt-5.", 400_000, "none", "low", "medium", "high", vision=True, response_format=True, apply_patch=True),
    Profile("gpt-4.1", context=1_047_576, vision=True, response_format=True, apply_patch=True),
    Profile("gpt-4o", context=128_000, vision=True, response_format=True),
    Profile("codex", context=200_000, vision=True, response_format=True, apply_patch=True),
    _effort("o1", 200_000, vision=True, response_format=True),
    _effort("o3", 200_000, vision=True, response_format=True),
    _effort("o4", 200_000, vision=True, response_format=True),
    _effort("gpt-oss", 131_072, apply_patch=True),
    Profile("qwen3-coder", context=262_144),
    Profile("deepseek", context=131_072, thinking="thinking", echo_thought=True),
    Profile("deepseek-reasoner", context=131_072, thinking="thinking", echo_thought=True, always_thinks=True),
    Profile("glm", thinking="thinking"),
    Profile("glm-4.6", context=200_000, thinking="thinking"),
    Profile("glm-4.7", context=200_000, thinking="thinking"),
)

GENERIC = Profile("")


def profile_for(model_id: str, kind: Kind = "openai", overrides: Mapping[str, object] | None = None) -> Profile:
    """The built-in profile of `model_id` as servers of `kind` run and bill it, with `overrides` of its fields on top.

    Raises:
        ConfigError: an override names no field of a profile, or has a value of the wrong type.
    """
    family = _family(model_id)
    known = replace(family, id=model_id, prompt_cache_key=kind == "moonshot" or family.id.startswith(("gpt-", "o")))
    if kind != "moonshot":
        known = replace(known, price=None)
    if kind == "local":
        known = replace(known, prompt_cache_key=False)
        if known.thinking in ("thinking", "thinking_effort"):  # open weights: the switch is in the chat template
            known = replace(known, thinking="chat_template_kwargs")
    return _overridden(known, overrides) if overrides else known


def _family(model_id: str) -> Profile:
    name = model_id.lower().rpartition("/")[2]
    fitting = [family for family in FAMILIES if name.startswith(family.id)]
    return max(fitting, key=lambda family: len(family.id), default=GENERIC)


def _overridden(profile: Profile, overrides: Mapping[str, object]) -> Profile:
    from pydantic import TypeAdapter, ValidationError

    known = [field.name for field in fields(Profile) if field.name != "id"]
    if unknown := [name for name in overrides if name not in known]:
        raise ConfigError(
            f"model {profile.id}: unknown profile setting {unknown[0]!r}", hint=f"Known: {', '.join(known)}."
        )
    try:
        return TypeAdapter(Profile).validate_python({**asdict(profile), **overrides})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"model {profile.id}: profile setting {place}: {first['msg']}") from None
