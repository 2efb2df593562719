"""What only somebody outside can answer, and the answers."""

from typing import Literal

from kimi_code.events.blocks import Block
from kimi_code.values import frozen


@frozen
class CommandPart:
    """One simple command or redirection of a command line, and why it may run or is asked for."""

    text: str
    decision: Literal["allow", "ask", "deny"]
    reason: str


@frozen
class Approval:
    """May this call run? `reason` says why it is asked, `blocks` show what it would do.

    `rules` are those that would allow exactly this; () when none can be that narrow. `tool` is "" for the changes of a
    whole turn (`--review turn`), where `call_id` is "" too. `parts` are those of a command line, in order.
    """

    call_id: str
    tool: str
    title: str
    reason: str
    blocks: tuple[Block, ...] = ()
    rules: tuple[str, ...] = ()
    parts: tuple[CommandPart, ...] = ()
    kind: Literal["approval"] = "approval"


@frozen
class Question:
    """The model asks the person; `options` may be empty for a free answer.

    `details` say what each option means, in their order, "" where there is nothing to say. With `several`, an answer
    can be more than one of them, a line each.
    """

    call_id: str
    text: str
    options: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    several: bool = False
    kind: Literal["question"] = "question"


@frozen
class Allow:
    """Reply to an Approval: run it. `remember` grants the approval's own rules, no others, for how long it says."""

    remember: Literal["", "session", "always"] = ""
    kind: Literal["allow"] = "allow"


@frozen
class AllowHunks:
    """Reply to an Approval that shows diffs: only these, by the ids of hunks, parts, whole diffs; none is a denial."""

    ids: tuple[str, ...]
    words: str = ""
    kind: Literal["allow_hunks"] = "allow_hunks"


@frozen
class AllowEdited:
    """Reply to an Approval that shows diffs: `text` as the whole content of `path` instead, all else as proposed.

    `path` is as the diff has it; "" where the approval shows one file only. Of a command it is the command that runs
    in place of the one that was asked for.
    """

    text: str
    path: str = ""
    kind: Literal["allow_edited"] = "allow_edited"


@frozen
class Deny:
    """Reply to an Approval or a Question: do not; `words` are for the model.

    A user's words say what to do instead; the program's, for want of a user, why it is not done.
    """

    words: str = ""
    by: Literal["user", "program"] = "user"
    kind: Literal["deny"] = "deny"


@frozen
class Answer:
    """Reply to a Question."""

    text: str
    kind: Literal["answer"] = "answer"


Request = Approval | Question
Reply = Allow | AllowHunks | AllowEdited | Deny | Answer
