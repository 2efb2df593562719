"""Every key of the screen: one row each, from which bindings, the help and docs/keys.md are made."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from kimi_code.values import frozen

if TYPE_CHECKING:
    from textual.binding import BindingType

Where = Literal[
    "everywhere",
    "prompt",
    "transcript",
    "approval",
    "question",
    "list",
    "sessions",
    "scroll",
    "rewind",
    "timeline",
    "review",
    "swarm",
    "agent",
]


@frozen
class Key:
    """A binding: `id` is its name in the configuration, `keys` the defaults, comma-separated.

    `first` keys are taken before the focused widget sees them.
    """

    id: str
    keys: str
    action: str
    what: str
    where: Where
    first: bool = False


KEYS: tuple[Key, ...] = (
    Key("prompt.send", "enter", "send", "Send; while it works: queue", "prompt"),
    Key("prompt.newline", "shift+enter,alt+enter,ctrl+j", "newline", "New line", "prompt"),
    Key("prompt.steer", "ctrl+s", "steer", "Say it to the running turn at once", "prompt"),
    Key("prompt.complete", "tab", "complete", "Complete a command or a path", "prompt"),
    Key("prompt.older", "up", "older", "Older prompt, from the first line", "prompt"),
    Key("prompt.newer", "down", "newer", "Newer prompt, from the last line", "prompt"),
    Key("prompt.search", "ctrl+r", "search_history", "Search the history", "prompt"),
    Key("prompt.editor", "ctrl+g", "edit_outside", "Write in $EDITOR", "prompt"),
    Key(
        "prompt.paste", "ctrl+v", "paste_image", "Paste an image from the clipboard, or what was copied here", "prompt"
    ),
    Key("screen.interrupt", "escape", "interrupt", "Close a list, or interrupt; twice: rewind", "everywhere"),
    Key("screen.leave", "ctrl+c", "leave", "Copy the selection, clear the prompt; twice: leave", "everywhere", True),
    Key("screen.mode", "shift+tab", "cycle_mode", "Next permission mode", "everywhere", first=True),
    Key("screen.fold", "ctrl+o", "toggle_cards", "Unfold or fold all cards", "everywhere", first=True),
    Key("screen.sidebar", "ctrl+b", "toggle_sidebar", "Show or hide the side bar", "everywhere", first=True),
    Key("screen.palette", "ctrl+p", "palette", "All commands", "everywhere", first=True),
    Key("screen.sessions", "ctrl+l", "sessions", "Sessions", "everywhere", first=True),
    Key("screen.help", "f1", "help", "Help and keys", "everywhere", first=True),
    Key("screen.suspend", "ctrl+z", "suspend", "Suspend; `fg` comes back", "everywhere", first=True),
    Key("screen.retry", "ctrl+t", "retry_now", "Try again now, while it waits for the provider", "everywhere", True),
    Key(
        "screen.swarm",
        "f2,alt+s",
        "swarm",
        "To the swarm's panel; after its end: its timeline",
        "everywhere",
        True,
    ),
    Key("transcript.up", "pageup", "page_up", "Scroll back", "transcript", first=True),
    Key("transcript.down", "pagedown", "page_down", "Scroll on", "transcript", first=True),
    Key("transcript.turn_before", "ctrl+up", "turn(-1)", "To your words before", "transcript", first=True),
    Key("transcript.turn_after", "ctrl+down", "turn(1)", "To your words after", "transcript", first=True),
    Key("transcript.end", "ctrl+end", "follow", "To the end, and keep there", "transcript", first=True),
    Key("transcript.card_before", "alt+up", "card(-1)", "Choose the card before", "transcript", first=True),
    Key("transcript.card_after", "alt+down", "card(1)", "Choose the card after", "transcript", first=True),
    Key("transcript.card_toggle", "alt+o", "toggle_card", "Unfold or fold the chosen card", "transcript", first=True),
    Key("transcript.open", "alt+e", "open_file", "Open the chosen card's file in $EDITOR", "transcript", first=True),
    Key("approval.once", "y", "allow('')", "Allow once", "approval"),
    Key("approval.session", "s", "allow('session')", "Allow by the rules shown, for this session", "approval"),
    Key("approval.always", "a", "allow('always')", "Allow by the rules shown, always", "approval"),
    Key("approval.deny", "n", "deny", "Deny, with words for the model if you like", "approval"),
    Key("approval.edit", "e", "edit", "Edit the command, or the file in $EDITOR, and allow that", "approval"),
    Key("approval.hunk_after", "j", "hunk(1)", "Choose hunks: the next one", "approval"),
    Key("approval.hunk_before", "k", "hunk(-1)", "The hunk before", "approval"),
    Key("approval.take", "space", "take", "Take or leave the hunk", "approval"),
    Key("approval.split", "x", "split", "Split the hunk into its runs of changes", "approval"),
    Key("approval.apply", "enter", "apply", "Allow the hunks that are taken", "approval"),
    Key("approval.scroll_up", "up", "scroll(-1)", "Scroll what is asked", "approval"),
    Key("approval.scroll_down", "down", "scroll(1)", "Scroll what is asked", "approval"),
    Key("approval.before", "left", "walk(-1)", "The request before", "approval"),
    Key("approval.after", "right", "walk(1)", "The request after", "approval"),
    Key("question.before", "up", "move(-1)", "The option before", "question"),
    Key("question.after", "down", "move(1)", "The option after", "question"),
    Key("question.answer", "enter", "answer", "Answer with the option, or with your words", "question"),
    Key("question.take", "space", "take", "Take or leave the option, where several can be taken", "question"),
    Key("question.next", "tab", "walk(1)", "The next request, where several wait", "question", first=True),
    Key("question.decline", "escape", "decline", "Let the model decide", "question"),
    Key("list.before", "up", "move(-1)", "The line before", "list"),
    Key("list.after", "down", "move(1)", "The line after", "list"),
    Key("list.take", "enter", "take", "Take it", "list"),
    Key("list.close", "escape,ctrl+c", "close", "Close", "list"),
    Key("scroll.up", "pageup", "page(-1)", "A screen up", "scroll"),
    Key("scroll.down", "pagedown", "page(1)", "A screen down", "scroll"),
    Key("rewind.resolve", "m", "resolve", "What becomes of files changed since: refuse, merge, overwrite", "rewind"),
    Key("timeline.diff", "d", "choose('diff')", "What changed since the checkpoint, on a page", "timeline"),
    Key("timeline.review", "v", "choose('review')", "Review what changed since the checkpoint", "timeline"),
    Key("review.up", "up,k", "line(-1)", "The line before", "review"),
    Key("review.down", "down,j", "line(1)", "The line after", "review"),
    Key("review.next", "n", "hunk(1)", "The next hunk", "review"),
    Key("review.before", "p", "hunk(-1)", "The hunk before", "review"),
    Key("review.file_next", "tab,right", "file(1)", "The next file", "review"),
    Key("review.file_before", "shift+tab,left", "file(-1)", "The file before", "review"),
    Key("review.accept", "a", "decide('kept')", "Keep the hunk; again: undecided", "review"),
    Key("review.revert", "r", "decide('reverted')", "Take the hunk back; again: undecided", "review"),
    Key("review.accept_file", "A", "decide_file('kept')", "Keep the file's changes", "review"),
    Key("review.revert_file", "R", "decide_file('reverted')", "Take the file's changes back", "review"),
    Key("review.more", "m", "more", "Show more of a long hunk", "review"),
    Key("review.comment", "c", "comment", "Comment on the line", "review"),
    Key("review.done", "enter", "done", "Take back what is marked, send the comments", "review"),
    Key("review.close", "escape,ctrl+c", "close", "Leave without", "review"),
    Key("swarm.up", "up", "walk(0,-1)", "The agent above", "swarm"),
    Key("swarm.down", "down", "walk(0,1)", "The agent below", "swarm"),
    Key("swarm.left", "left", "walk(-1,0)", "The agent before", "swarm"),
    Key("swarm.right", "right", "walk(1,0)", "The agent after", "swarm"),
    Key("swarm.back", "escape", "back", "Back to the prompt", "swarm"),
    Key("agent.open", "o,enter", "deed('open')", "Open the agent: what it said and does", "agent"),
    Key("agent.graph", "g", "deed('graph')", "The graph of the tasks", "agent"),
    Key("agent.timeline", "t", "deed('timeline')", "The timeline, with the critical path", "agent"),
    Key("agent.steer", "s", "deed('steer')", "Say a line to the agent", "agent"),
    Key("agent.kill", "x", "deed('kill')", "Kill the agent and cancel its task; twice to confirm", "agent"),
    Key("agent.retry", "r", "deed('retry')", "Begin its task anew", "agent"),
    Key("agent.answer", "a", "deed('answer')", "Answer what it asks", "agent"),
    Key("sessions.fork", "ctrl+f", "fork", "Fork the session: a new one with its history", "sessions", first=True),
    Key("sessions.rename", "ctrl+n", "rename", "Rename the session", "sessions", first=True),
    Key("sessions.export", "ctrl+e", "export", "Export the session as Markdown", "sessions", first=True),
    Key("sessions.delete", "ctrl+d", "delete", "Delete the session; twice to confirm", "sessions", first=True),
)

TITLES: Mapping[Where, str] = {
    "prompt": "In the prompt",
    "everywhere": "Everywhere",
    "transcript": "In the transcript",
    "approval": "When it asks for approval",
    "question": "When the model asks",
    "list": "In lists",
    "sessions": "In the list of sessions",
    "scroll": "In pages to read",
    "rewind": "Before turns or files are put back",
    "timeline": "In the timeline",
    "review": "In a review",
    "swarm": "In the panel of a swarm",
    "agent": "About an agent of a swarm: in the panel, the graph, its transcript",
}


def bindings(*places: Where) -> "list[BindingType]":
    """Textual's bindings of those places."""
    from textual.binding import Binding

    return [
        Binding(key.keys, key.action, key.what, show=False, priority=key.first, id=key.id)
        for key in KEYS
        if key.where in places
    ]


def actions(where: Where, own: Mapping[str, str]) -> dict[str, str]:
    """Action by key, for a widget that must act on keys in the order they come; `own` are the user's keys.

    Bindings of Textual's act when the application sees a key, which may be before or after a widget has seen the
    letters typed just before it.
    """
    return {
        name.strip(): key.action for key in KEYS if key.where == where for name in own.get(key.id, key.keys).split(",")
    }


def keys_of(id: str, own: Mapping[str, str]) -> str:
    """The keys of a binding as a person reads them: "Shift+Enter, Ctrl+J"; `own` are the user's."""
    given = own.get(id) or next(key.keys for key in KEYS if key.id == id)
    return ", ".join(_words(key.strip()) for key in given.split(","))


_WORDS: Mapping[str, str] = {
    "escape": "Esc",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}


def _words(key: str) -> str:
    if len(key) == 1:
        return key
    return "+".join(_WORDS.get(part) or part.capitalize() for part in key.split("+"))


def unknown(own: Mapping[str, str]) -> list[str]:
    """Ids in the user's keys that are no binding's."""
    known = {key.id for key in KEYS}
    return [id for id in own if id not in known]
