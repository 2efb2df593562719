"""Make a long history short without losing what matters.

What is kept word for word: what the user said, the plan, the last steps. What the model states once more in a fixed
structure: goal, decisions, constraints, failed attempts, what is left. What is known for sure: files touched.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import takewhile

from kimi_code.agent.context import estimate, repair
from kimi_code.events import TodoItem
from kimi_code.messages import Message

# Of the context: compaction begins above the first; the last steps may keep up to the second.
THRESHOLD = 0.8
_KEPT_SHARE = 0.25
_CUT_RESULT = 1_200
_FILES = "Files changed so far:\n"

REQUEST = """\
The conversation is about to be cut to fit the context. Write the state of the work for yourself, so that you can go \
on without the earlier messages. Call no tools. Use exactly these headings, with short, concrete points (paths, names, \
commands, error texts), and leave out a heading that has none:

## Goal
## Decisions and why
## Constraints and preferences
## Done so far
## Failed attempts, not to be repeated
## Facts found
## Next\
"""


def keep_from(messages: Sequence[Message], tokens: int) -> int:
    """Index from which the last steps are kept, within `tokens`; always the start of a step or of a user message."""
    start = len(messages)
    used = 0
    for index in range(len(messages) - 1, -1, -1):
        used += estimate(messages[index])
        if used > tokens:
            break
        if messages[index].role != "tool":
            start = index
    return start


def ask_for_state(messages: Sequence[Message], limit: int) -> list[Message]:
    """The history with the request for the state at its end, made to fit `limit` tokens.

    Long tool results are shortened first; then the oldest messages go.
    """
    asked = Message("user", REQUEST, source="notice")
    history = list(messages)
    if _size(history) + estimate(asked) > limit:
        history = [_without_images(_shorten(message)) for message in history]
    size = _size(history) + estimate(asked)
    drop = 0
    while size > limit and drop < len(history):
        size -= estimate(history[drop])
        drop += 1
    return [*repair(history[drop:]), asked]


def compact(
    messages: Sequence[Message],
    *,
    state: str,
    todo: Sequence[TodoItem],
    limit: int,
    preface: str = "",
    touched: Sequence[str] = (),
) -> list[Message]:
    """The new history: a summary message, the user's own words, the last steps.

    `limit` is the context in tokens, `state` what the model wrote on REQUEST ("" when it could not), `touched`
    are the files changed so far.
    """
    start = keep_from(messages, int(limit * _KEPT_SHARE))
    dropped, kept = messages[:start], list(messages[start:])
    own = [_without_images(replace(m, preface="")) for m in dropped if m.role == "user" and m.source == "prompt"]
    summary = Message("user", _summary(messages, state, todo, touched), preface=preface, source="summary")
    return repair([summary, *own, *kept])


def shorten_results(messages: Iterable[Message]) -> list[Message]:
    """Every tool result cut to its head and tail: the last resort before giving up."""
    return [_without_images(_shorten(message)) for message in messages]


def _size(messages: Iterable[Message]) -> int:
    return sum(estimate(message) for message in messages)


def _shorten(message: Message) -> Message:
    if message.role != "tool" or len(message.text) <= _CUT_RESULT:
        return message
    half = _CUT_RESULT // 2
    cut = len(message.text) - 2 * half
    return replace(message, text=f"{message.text[:half]}\n[{cut} characters cut]\n{message.text[-half:]}")


def _without_images(message: Message) -> Message:
    """A picture costs as much as two pages of words; that there was one is still said."""
    if not message.images:
        return message
    names = ", ".join(image.name for image in message.images)
    text = f"{message.text}\n[no longer shown here: {names}]".lstrip("\n")
    return replace(message, text=text, images=())


def _summary(messages: Sequence[Message], state: str, todo: Sequence[TodoItem], touched: Sequence[str]) -> str:
    parts = [
        "The conversation so far was compacted. This is its state; the user's own messages follow word for word, "
        "then the last steps. Files may have changed since you read them: read again before you edit."
    ]
    earlier = next((m.text for m in reversed(messages) if m.source == "summary"), "")
    if state.strip():
        parts.append(f"<state>\n{state.strip()}\n</state>")
    elif earlier:
        parts.append(f"<earlier_state>\n{earlier}\n</earlier_state>")
    if files := _files(earlier, touched):
        parts.append(_FILES + "\n".join(f"- {path}" for path in files))
    if todo:
        parts.append("Plan:\n" + "\n".join(f"- [{item.status}] {item.text}" for item in todo))
    return "\n\n".join(parts)


def _files(earlier: str, touched: Sequence[str]) -> list[str]:
    """Those an earlier summary named, which may stem from a session that this one is a fork of, and the `touched`."""
    _, found, listing = earlier.partition(_FILES)
    named = takewhile(lambda line: line.startswith("- "), listing.splitlines()) if found else ()
    return list(dict.fromkeys((*(line[2:] for line in named), *touched)))
