"""What is asked before the first session: a server and its key, the theme, and whether a folder's own files count.

One question at a time. Knows no widget: it asks through an `Asker`, and acts through a `Household`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from kimi_code.errors import AuthError, KimiError
from kimi_code.tui.screens.picker import Row
from kimi_code.values import frozen

DEMO = "demo"
# What is shown of the effects where a small screen must have room for the answers.
_EFFECTS, _EFFECT = 6, 150
_LISTED = 12  # models shown to choose from; others are a line away


@frozen
class Server:
    """A server that can be set up. `models` are known of servers that were found, () of others.

    `name` is a provider's; `label` is how a person calls it. `needs_key` is false for those of this machine.
    """

    name: str
    label: str
    base_url: str
    models: tuple[str, ...] = ()
    needs_key: bool = True


@frozen
class ProjectFiles:
    """What of a folder would act once it is trusted: a line for each effect, the files' text, and their hash.

    `changed` says that it was trusted, with other content.
    """

    folder: str
    effects: tuple[str, ...]
    text: str
    digest: str
    changed: bool = False


class Household(Protocol):
    """What the set-up needs of the machine. Methods raise KimiError with words for a person."""

    async def is_new(self) -> bool:
        """Whether nobody chose a server or a model and there is no key."""
        ...

    async def found(self) -> Sequence[Server]:
        """The model servers that run on this machine."""
        ...

    def known(self) -> Sequence[Server]:
        """Servers that need a key, the usual one first; those of one maker follow each other."""
        ...

    async def list_models(self, server: Server, key: str) -> Sequence[str]:
        """What the server offers, the best known first. Raises AuthError when it refuses the key."""
        ...

    async def try_out(self, server: Server, key: str, model: str) -> float:
        """Ask the model for a word; returns the seconds until its answer was whole."""
        ...

    def keep(self, server: Server, key: str, model: str) -> str:
        """Use this from now on; returns where the key is kept, "" for none."""
        ...

    def keep_theme(self, name: str) -> None:
        """Begin with this theme from now on."""
        ...

    async def project_files(self) -> ProjectFiles | None:
        """The folder's own files, when they would act and nobody has trusted them as they are."""
        ...

    def trust(self, files: ProjectFiles) -> None:
        """Let exactly these act. Raises KimiError when they are others by now."""
        ...


class Asker(Protocol):
    """The person. Each question replaces the one before it; None means that it was left with Esc."""

    async def choose(self, question: str, rows: Sequence[Row], seen: Callable[[str], None] = ...) -> str | None:
        """One of the rows' values; `seen` hears of each that is highlighted."""
        ...

    async def enter(self, question: str, *, hint: str = "", hidden: bool = False) -> str | None: ...
    def say(self, text: str) -> None:
        """A line that stays."""
        ...

    def fail(self, error: Exception) -> None: ...
    def doing(self, words: str) -> None:
        """What is going on meanwhile; "" for nothing."""
        ...

    def show(self, title: str, text: str) -> None:
        """A page over all else."""
        ...

    def themes(self) -> Sequence[str]: ...
    def use_theme(self, name: str) -> None: ...


async def set_up(asker: Asker, household: Household) -> bool | None:
    """Choose a server, its key, a model and a theme. False when it was left, None when the demo is wanted."""
    asker.doing("Looking for model servers on this machine")
    found = await household.found()
    asker.doing("")
    while True:
        chosen = await _choose_server(asker, household, found)
        if chosen is None:
            return False
        if chosen == DEMO:
            return None
        server = await _server(asker, household, found, chosen)
        if server is not None and await _connect(asker, household, server):
            await choose_theme(asker, household)
            return True


async def _choose_server(asker: Asker, household: Household, found: Sequence[Server]) -> str | None:
    first = household.known()[0]
    rows = [
        Row(server.base_url, server.label, f"found at {_place(server)}: {_some(server.models)}") for server in found
    ]
    rows.append(Row(first.base_url, first.label, f"needs a key of {_place(first)}"))
    rows.append(Row("other", "Another server", "any that speaks the OpenAI chat API"))
    rows.append(Row(DEMO, "Watch the demo", "no key, no network"))
    return await asker.choose("Which model shall do the work?", rows)


async def _server(asker: Asker, household: Household, found: Sequence[Server], chosen: str) -> Server | None:
    """The server of that base URL; asks for it where it is none that is known."""
    while chosen == "other":
        given = await asker.enter("Where is its API?", hint="https://host/v1")
        if given is None:
            return None
        chosen = given.strip().rstrip("/")
        if not chosen.startswith(("http://", "https://")) or len(chosen.partition("://")[2]) < 1:
            asker.fail(KimiError(f"{given!r} is no URL: it should look like https://host/v1."))
            chosen = "other"
    known = [server for server in (*found, *household.known()) if server.base_url == chosen]
    return known[0] if known else Server("other", "Another server", chosen)


async def _connect(asker: Asker, household: Household, server: Server) -> bool:
    """Ask for the key, list the models, try one, keep it all; False to choose another server."""
    key: str | None = None
    while True:
        if key is None:
            key = await _key(asker, server)
            if key is None:
                return False
        asker.doing(f"Asking {_place(server)}")
        try:
            models = server.models or tuple(await household.list_models(server, key))
            asker.doing("")
            model = await _model(asker, models)
            if model is None:
                return False
            asker.doing(f"Trying {model}")
            seconds = await household.try_out(server, key, model)
            where = household.keep(server, key, model)
        except KimiError as error:
            asker.doing("")
            asker.fail(error)
            again = await _mend(asker, household, server, key, refused=isinstance(error, AuthError))
            if again is None:
                return False
            server, key = again
        else:
            asker.doing("")
            asker.say(f"{model} at {_place(server)} answered in {seconds:.1f} s.")
            if where:
                asker.say(f"The key is kept in {where}.")
            return True


async def _key(asker: Asker, server: Server) -> str | None:
    if not server.needs_key:
        return ""
    hint = "Enter alone: none" if server.name == "other" else "it is not shown"
    return await asker.enter(f"The API key for {_place(server)}", hint=hint, hidden=True)


async def _mend(
    asker: Asker, household: Household, server: Server, key: str, *, refused: bool
) -> tuple[Server, str | None] | None:
    """What to do after a failure: a server and a key to go on with, or None."""
    rows: list[Row] = []
    twins = [each for each in household.known() if each.label == server.label and each.base_url != server.base_url]
    if refused and server.needs_key:
        rows += [Row(each.base_url, f"The same key at {_place(each)}", "keys are bound to a region") for each in twins]
        rows.append(Row("key", "Another key"))
    else:
        rows.append(Row("again", "Try again"))
    rows.append(Row("back", "Another server"))
    match await asker.choose("That did not work. What next?", rows):
        case None | "back":
            return None
        case "again":
            return server, key
        case "key":
            return server, None
        case base_url:
            return next(each for each in twins if each.base_url == base_url), key


async def _model(asker: Asker, models: Sequence[str]) -> str | None:
    if not models:
        return await asker.enter("It lists no models. Which one shall it be?", hint="the model's id")
    if len(models) == 1:
        return models[0]
    rows = [Row(name, name) for name in models[:_LISTED]]
    if len(models) > _LISTED:
        rows.append(Row("", f"Another of {len(models)}"))
    chosen = await asker.choose("Which of its models?", rows)
    return await asker.enter("Which model?", hint="its id") if chosen == "" else chosen


async def choose_theme(asker: Asker, household: Household) -> None:
    """Ask for the colours; what is highlighted is shown at once."""
    words = {"auto": "as the terminal's ground", "contrast": "high contrast"}
    rows = [Row(name, name, words.get(name, "")) for name in asker.themes()[:4]]
    chosen = await asker.choose("Which colours?", rows, asker.use_theme)
    asker.use_theme(chosen or "auto")
    if chosen and chosen != "auto":
        try:
            household.keep_theme(chosen)
        except KimiError as error:
            asker.fail(error)


async def ask_for_trust(asker: Asker, household: Household) -> None:
    """Ask whether the folder's own files count, after saying what they would do."""
    files = await household.project_files()
    if files is None:
        return
    lead = "These files changed since you trusted them." if files.changed else "This folder brings its own settings."
    listing = "\n".join(f"· {_cut(effect)}" for effect in files.effects[:_EFFECTS]) or "· nothing"
    if len(files.effects) > _EFFECTS:
        listing += f"\n· and {len(files.effects) - _EFFECTS} more"
    question = f"{lead} If you trust {files.folder}, they do this:\n{listing}\nTrust it as it is now?"
    rows = [
        Row("no", "Not now", "nothing of it acts; it is asked again next time"),
        Row("yes", "Trust it", "until these files change"),
        Row("show", "Show all of it", "the effects, and the files themselves"),
    ]
    while (answer := await asker.choose(question, rows)) == "show":
        asker.show(files.folder, "\n".join((*(f"· {effect}" for effect in files.effects), "", files.text)))
    if answer != "yes":
        return
    try:
        household.trust(files)
    except KimiError as error:
        asker.say(str(error))
    else:
        asker.say(f"Trusted: {files.folder}")


def _cut(text: str) -> str:
    return text if len(text) <= _EFFECT else f"{text[: _EFFECT - 1]}…"


def _place(server: Server) -> str:
    return server.base_url.partition("://")[2].partition("/")[0]


def _some(models: Sequence[str]) -> str:
    more = f" and {len(models) - 2} more" if len(models) > 2 else ""
    return ", ".join(models[:2]) + more
