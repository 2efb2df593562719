"""The first start: a server, a key, a theme; and the question whether a folder's own files count."""

import json
import threading
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.widgets import Input

from kimi_code.config.keystore import Keystore
from kimi_code.errors import AuthError, KimiError
from kimi_code.tui.screens.page import Page
from kimi_code.tui.screens.picker import Row
from kimi_code.tui.welcome import ProjectFiles, Server, ask_for_trust, set_up
from kimi_code.tui.widgets.steps import Steps
from tests.server import Received, Reply, error, say
from tests.tui.conftest import PATIENCE, Lookout, Stage

KEY = "sk-the-secret-key-0123456789"
AI = Server("moonshot", "Kimi", "https://api.moonshot.ai/v1")
CN = Server("moonshot-cn", "Kimi", "https://api.moonshot.cn/v1")
OLLAMA = Server("ollama", "Ollama", "http://127.0.0.1:11434/v1", ("qwen3-coder", "gpt-oss"), needs_key=False)


def without_key(stage: Stage) -> dict[str, str]:
    return {name: value for name, value in stage.env.items() if name not in ("KIMI_API_KEY", "KIMI_BASE_URL")}


def steps(screen: Lookout) -> Steps:
    return screen.main.query_one(Steps)


async def asked(screen: Lookout, words: str) -> None:
    """Until this is the question."""
    await screen.until(
        lambda: (
            screen.main.query(Steps)
            and steps(screen).asking
            and words in str(steps(screen).query_one("#steps-question").render())
        )
    )


async def enter(screen: Lookout, text: str) -> None:
    words = steps(screen).query_one("#steps-words", Input)
    assert words.has_focus
    words.value = text
    await screen.pilot.press("enter")


async def test_four_keystrokes_lead_from_nothing_to_a_first_answer_by_a_local_server(stage: Stage) -> None:
    stage.configure(f'sandbox = "off"\nlocal_servers = ["{stage.server.url}"]\n')
    stage.server.models = [{"id": "qwen3-coder"}]
    stage.server.script(say("ready"), say("Hello to you."))
    async with stage.open(env=without_key(stage)) as screen:
        await asked(screen, "Which model")
        await screen.pilot.press("enter")
        await asked(screen, "Which colours")
        await screen.pilot.press("enter")
        await screen.ready()
        await screen.until(lambda: screen.shows("answered in"))
        assert screen.main.prompt.has_focus
        await screen.ask("hello")
        await screen.until(lambda: screen.shows("Hello to you."))
    chosen = tomllib.loads((stage.home / "kimi/config.toml").read_text())
    assert chosen["model"].endswith("/qwen3-coder")
    # It is not asked again.
    async with stage.open(env=without_key(stage)) as screen:
        await screen.ready()


async def test_while_the_server_is_asked_nothing_but_that_is_said(stage: Stage) -> None:
    stage.configure(f'sandbox = "off"\nlocal_servers = ["{stage.server.url}"]\n')
    stage.server.models = [{"id": "qwen3-coder"}]
    held = threading.Event()

    def late(_: Received) -> Reply:
        held.wait(PATIENCE)
        return say("ready")

    stage.server.script(late)
    async with stage.open(env=without_key(stage)) as screen:
        await asked(screen, "Which model")
        await screen.pilot.press("enter")
        await screen.until(lambda: screen.main.activity.words == "Trying qwen3-coder")
        assert not screen.main.query_one("#prompt-row").display
        assert "What shall we do" not in str(screen.main.query_one("#greeting").render())
        held.set()
        await asked(screen, "Which colours")
        assert not screen.main.query_one("#prompt-row").display
        await screen.pilot.press("enter")
        await screen.ready()
        assert screen.main.query_one("#prompt-row").display
        assert screen.main.prompt.has_focus


async def test_a_server_of_ones_own_with_its_key_which_is_asked_for_again_when_it_is_refused(stage: Stage) -> None:
    stage.configure('sandbox = "off"\nlocal_servers = []\n')
    known, stage.server.models = stage.server.models, error(401, message="Invalid Authentication")
    async with stage.open(env=without_key(stage), prompt="") as screen:
        await asked(screen, "Which model")
        await screen.pilot.press("down", "enter")
        await asked(screen, "Where is its API")
        await enter(screen, stage.server.url)
        await asked(screen, "The API key")
        await enter(screen, "sk-wrong")
        await asked(screen, "That did not work")
        await screen.until(lambda: screen.shows("refused the API key"))
        await screen.pilot.press("enter")
        await asked(screen, "The API key")
        await screen.pilot.press("escape")
        await asked(screen, "Which model")
        assert not (stage.home / "kimi/data/keys").exists()
        stage.server.models = known
        stage.server.script(say("ready"))
        await screen.pilot.press("down", "enter")
        await asked(screen, "Where is its API")
        await enter(screen, stage.server.url)
        await asked(screen, "The API key")
        await enter(screen, KEY)
        await asked(screen, "Which colours")
        await screen.pilot.press("down", "down", "enter")
        await screen.ready()
        assert screen.app.theme == "kimi-light"
        await screen.until(lambda: screen.shows("The key is kept in"))
        assert not screen.shows(KEY)
    assert stage.server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    chosen = tomllib.loads((stage.home / "kimi/config.toml").read_text())
    assert chosen["provider"] == "own"
    assert chosen["model"] == "own/kimi-k3"
    assert chosen["screen"]["theme"] == "light"
    assert KEY not in json.dumps(chosen)
    assert Keystore(stage.home / "kimi/data").find("own", stage.server.url) == KEY


async def test_leaving_the_set_up_says_how_to_go_on_and_login_asks_again(stage: Stage) -> None:
    stage.configure('sandbox = "off"\nlocal_servers = []\n')
    async with stage.open(env=without_key(stage)) as screen:
        await asked(screen, "Which model")
        await screen.pilot.press("escape")
        await screen.until(lambda: screen.state == "failed")
        await screen.until(lambda: screen.shows("/login asks again"))
        await screen.say("/login")
        await asked(screen, "Which model")
        await screen.pilot.press("up", "enter")  # from the first to the last: the demo
        await screen.until(lambda: screen.app.return_value == 0)
        assert screen.app.wants_demo


# --- The flow by itself -----------------------------------------------------------------------------------------------


class Person:
    """Answers by a script, and remembers what was said."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []
        self.said: list[str] = []
        self.theme = ""

    async def choose(self, question: str, rows: Sequence[Row], seen: object = None) -> str | None:
        self.questions.append(question)
        answer = self.answers.pop(0)
        assert answer is None or answer in [row.value for row in rows], f"{answer} is none of {rows}"
        return answer

    async def enter(self, question: str, *, hint: str = "", hidden: bool = False) -> str | None:
        self.questions.append(question)
        return self.answers.pop(0)

    def say(self, text: str) -> None:
        self.said.append(text)

    def fail(self, error: Exception) -> None:
        self.said.append(str(error))

    def doing(self, words: str) -> None: ...
    def show(self, title: str, text: str) -> None:
        self.said.append(text)

    def themes(self) -> Sequence[str]:
        return ("auto", "dark", "light", "contrast", "nord")

    def use_theme(self, name: str) -> None:
        self.theme = name


class House:
    """A machine; `accepts` is the server that knows the key."""

    def __init__(self, *found: Server, accepts: Server = AI, files: ProjectFiles | None = None) -> None:
        self._found, self._accepts, self._files = found, accepts, files
        self.kept: tuple[str, str, str] | None = None
        self.theme = ""
        self.trusted: ProjectFiles | None = None

    async def is_new(self) -> bool:
        return True

    async def found(self) -> Sequence[Server]:
        return self._found

    def known(self) -> Sequence[Server]:
        return (AI, CN)

    async def list_models(self, server: Server, key: str) -> Sequence[str]:
        if server != self._accepts:
            raise AuthError("The server refused the API key", hint="Keys are bound to a region.")
        return [f"model-{n}" for n in range(20)]

    async def try_out(self, server: Server, key: str, model: str) -> float:
        if model == "broken":
            raise KimiError("Out of memory")
        return 0.42

    def keep(self, server: Server, key: str, model: str) -> str:
        self.kept = (server.name, key, model)
        return "a drawer" if key else ""

    def keep_theme(self, name: str) -> None:
        self.theme = name

    async def project_files(self) -> ProjectFiles | None:
        return self._files

    def trust(self, files: ProjectFiles) -> None:
        self.trusted = files


async def test_a_key_of_the_other_region_is_tried_there_without_typing_it_again() -> None:
    person = Person(AI.base_url, KEY, CN.base_url, "model-0", "auto")
    house = House(accepts=CN)
    assert await set_up(person, house)
    assert house.kept == ("moonshot-cn", KEY, "model-0")
    assert any("region" in words for words in person.said)
    assert person.said[-2:] == ["model-0 at api.moonshot.cn answered in 0.4 s.", "The key is kept in a drawer."]
    assert house.theme == ""
    assert KEY not in "".join(person.said + person.questions)


async def test_a_model_that_is_not_among_the_first_can_be_named() -> None:
    person = Person(AI.base_url, KEY, "", "model-19", "light")
    house = House()
    assert await set_up(person, house)
    assert house.kept == ("moonshot", KEY, "model-19")
    assert house.theme == person.theme == "light"


async def test_a_local_model_that_fails_can_be_tried_again_or_left_for_another_server() -> None:
    broken = Server("ollama", "Ollama", OLLAMA.base_url, ("broken",), needs_key=False)
    person = Person(OLLAMA.base_url, "again", "back", None)
    assert await set_up(person, House(broken)) is False
    assert person.said == ["Out of memory", "Out of memory"]


async def test_the_demo_is_always_there() -> None:
    assert await set_up(Person("demo"), House(OLLAMA)) is None


@pytest.mark.parametrize("answer", ["no", None])
async def test_files_that_are_not_trusted_stay_without_effect(answer: str | None) -> None:
    house = House(files=ProjectFiles("/p", ("deny: also Bash",), "all of it", "d"))
    person = Person("show", answer)
    await ask_for_trust(person, house)
    assert person.said == ["· deny: also Bash\n\nall of it"]
    assert house.trusted is None
    assert "deny: also Bash" in person.questions[0]


# --- Trust ------------------------------------------------------------------------------------------------------------


def own_settings(stage: Stage, text: str) -> Path:
    folder = stage.project / ".kimi-code"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(text)
    return folder / "config.toml"


async def test_a_folders_settings_act_once_they_are_trusted_and_until_they_change(stage: Stage) -> None:
    file = own_settings(stage, 'deny = ["Bash(rm *)"]\nmax_steps = 7\nallow = ["Bash"]\n')
    async with stage.open() as screen:
        await asked(screen, "deny: also Bash(rm *)")
        question = str(steps(screen).query_one("#steps-question").render())
        assert "max_steps = 7" in question
        assert "allow is ignored: a project cannot set this" in question
        assert screen.main.conversation.session is None  # nothing is open, so nothing has acted
        await screen.pilot.press("up", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, Page))
        await screen.pilot.press("escape")
        await asked(screen, "Trust it as it is now")
        await screen.pilot.press("down", "enter")
        await screen.ready()
        await screen.until(lambda: screen.shows("Trusted:"))
    async with stage.open() as screen:
        await screen.ready()
        assert not screen.shows("is not used")
    file.write_text('deny = ["Bash"]\n')
    async with stage.open() as screen:
        await asked(screen, "changed since you trusted them")
        await screen.pilot.press("enter")
        await screen.ready()
        await screen.until(lambda: screen.shows("it has changed since it was trusted"))


async def test_files_that_change_while_they_are_looked_at_are_not_trusted(stage: Stage) -> None:
    file = own_settings(stage, "max_steps = 7\n")
    async with stage.open() as screen:
        await asked(screen, "max_steps = 7")
        file.write_text("max_steps = 700\n")
        await screen.pilot.press("down", "enter")
        await screen.ready()
        await screen.until(lambda: screen.shows("changed while you looked at them"))
