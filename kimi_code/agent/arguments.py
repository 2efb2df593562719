"""What a model sent to call a tool with, and words for it where that cannot be used."""

import json
from difflib import get_close_matches
from typing import Any, cast

from kimi_code.tools.tool import Params

NAME_LENGTH = 80  # of a tool's name, which a model may make up


def tell_unknown(name: str, known: list[str]) -> str:
    """That there is no such tool, and which there are."""
    name = name[:NAME_LENGTH]
    close = get_close_matches(name.lower(), [tool.lower() for tool in known], n=1, cutoff=0.4)
    meant = next((tool for tool in known if close and tool.lower() == close[0]), None)
    hint = f" Did you mean {meant}?" if meant else ""
    return f"There is no tool {name!r}.{hint} The tools are: {', '.join(known)}."


def parse_arguments(text: str) -> dict[str, Any]:
    """The arguments as an object. Raises ValueError that says what is wrong and where."""
    if not text.strip():
        return {}
    try:
        # strict=False: raw newlines inside strings are a frequent slip, and unambiguous.
        value = json.loads(text, strict=False)
        if isinstance(value, str):  # encoded twice
            value = json.loads(value, strict=False)
    except json.JSONDecodeError as error:
        around = error.doc[max(error.pos - 30, 0) : error.pos + 10]
        raise ValueError(f"broken JSON, {error.msg} at character {error.pos}, near {around!r}") from None
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"they must be a JSON object, not {type(value).__name__}")
    return cast("dict[str, Any]", value)


def tell_misfit(name: str, params: type[Params], error: ValueError) -> str:
    """Which arguments do not fit, and what the tool takes."""
    details: list[str] = []
    for problem in getattr(error, "errors", list[dict[str, Any]])():
        where = ".".join(str(part) for part in problem.get("loc", ())) or "arguments"
        message = "is not a parameter" if problem.get("type") == "extra_forbidden" else problem.get("msg", "is wrong")
        details.append(f"- {where}: {message}")
    fields = ", ".join(
        f"{field.alias or key}{'' if field.is_required() else '?'}" for key, field in params.model_fields.items()
    )
    listing = "\n".join(details) or f"- {error}"
    return f"The arguments of {name} do not fit:\n{listing}\nIt takes: {fields} (? = optional). Nothing was done."
