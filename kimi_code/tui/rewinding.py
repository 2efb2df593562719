"""Going back to an earlier prompt: what it began is taken back, and its words stand in the prompt again."""

from typing import TYPE_CHECKING, cast

from kimi_code.errors import KimiError, UsageError
from kimi_code.tui.desk import ScreenDesk, one_line
from kimi_code.tui.screens.picker import Row
from kimi_code.tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from kimi_code.session.rewind import Rewound, Scope

_SCOPES = (
    Row("both", "Conversation and files", "all is as it was before that prompt"),
    Row("conversation", "Conversation only", "files stay as they are"),
    Row("code", "Files only", "the model goes on knowing what was said"),
)


async def rewind(desk: ScreenDesk, prompt: Prompt) -> None:
    """Let the person choose the prompt and what goes back with it; what goes wrong is said."""
    try:
        prompts = desk.session.prompts
        if not prompts:
            raise UsageError("There is no earlier prompt in this session to go back to.")
        rows = [Row(str(turn), one_line(text), f"turn {turn}") for turn, text in reversed(prompts.items())]
        chosen = await desk.pick("Go back to before", rows, hint="Its words stand in the prompt again   Esc: stay here")
        scope = await desk.pick("What goes back", _SCOPES) if chosen else None
        if chosen is None or scope is None:
            return
        turn = int(chosen)
        done = await desk.session.rewind(turn, cast("Scope", scope))
        _check(done)
    except KimiError as error:
        desk.fail(error)
        return
    if scope != "code":
        prompt.shelve()
        prompt.replace_text(prompts[turn])
    files = len(done.report.actions)
    desk.say(f"Back to before turn {turn}: {files} file{'' if files == 1 else 's'} changed back. /redo brings it back.")


def _check(done: "Rewound") -> None:
    if done.report.conflicts:
        named = "\n".join(f"  {conflict.path}: {conflict.reason}" for conflict in done.report.conflicts)
        raise UsageError(
            f"Nothing was changed, for these files would lose what is in them now:\n{named}",
            hint="Go back in the conversation only, or use `kimi-code undo --merge`.",
        )
