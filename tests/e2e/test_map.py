"""The index from outside: a model that calls its tools, the map in its first message, the commands map and symbols."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kimi_code.agent.first_map import FirstMap, is_huge, is_tiny
from kimi_code.cli.app import main
from kimi_code.events import ToolEnded
from kimi_code.repo.index import Index
from kimi_code.values import frozen
from tests.harness import Lab
from tests.program import make_program
from tests.server import FakeServer, call, say

FILES: Mapping[str, str] = {
    "src/store.py": "class Store:\n    def put(self, value):\n        return value\n\n\n"
    "def open_store():\n    return Store()\n",
    "src/main.py": "from store import open_store\n\n\ndef main():\n    open_store().put(1)\n",
    "web/cart.ts": "export function addToCart(item: string): void {}\n",
    "cmd/run.go": "package main\n\nfunc Run() int { return 1 }\n",
    **{f"src/part{n}.py": f"def part{n}():\n    return {n}\n" for n in range(24)},
}


def fill(folder: Path) -> Path:
    for name, text in FILES.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return folder


def results(lab: Lab, number: int) -> list[str]:
    """What the tools said before a request."""
    return [message["content"] for message in lab.server.requests[number].messages if message["role"] == "tool"]


async def test_a_model_finds_reads_and_renames_through_the_index(lab: Lab) -> None:
    fill(lab.project)
    lab.configure(map_tokens=0)
    lab.server.script(
        call("Symbols", {"query": "addtocart"}),
        call("Outline", {"path": "src/store.py"}),
        call("Read", {"symbol": "Store.put"}),
        call("References", {"symbol": "open_store"}),
        call("Rename", {"symbol": "open_store", "new_name": "make_store"}),
        call("Edit", {"path": "src/store.py", "old_string": "return value", "new_string": "return [value]"}),
        call("Symbols", {"query": "make_store"}),
        say("Done."),
    )
    ran = await lab.run()
    assert ran.exit_code == 0
    said = results(lab, 7)
    assert said[0].startswith("web/cart.ts:1 function addToCart")
    assert "def put" in said[1] and said[2].startswith("2\t    def put")
    assert "5: open_store().put(1)  [in main]" in said[3]
    assert "Renamed in 2 files" in said[4]
    assert said[6].startswith("src/store.py:6 function make_store")
    assert "return [value]" in (lab.project / "src/store.py").read_text()
    assert {change["path"] for change in ran.result["files_changed"]} == {"src/main.py", "src/store.py"}


async def test_a_rename_is_decided_on_by_every_file_it_changes(lab: Lab) -> None:
    fill(lab.project)
    lab.configure(map_tokens=0, deny=("Edit(src/main.py)",))
    lab.server.script(call("Rename", {"symbol": "open_store", "new_name": "make_store"}), say("It was denied."))
    ran = await lab.run()
    assert [ended.status for ended in ran.events(ToolEnded)] == ["denied"]
    assert "Edit(src/main.py)" in results(lab, 1)[0]
    assert (lab.project / "src/store.py").read_text() == FILES["src/store.py"]


async def test_an_unsafe_rename_tells_the_model_why(lab: Lab) -> None:
    fill(lab.project)
    (lab.project / "src/odd.py").write_text(
        "getattr(__import__('store'), 'open_store')\nimport store\nstore.open_store\n"
    )
    lab.configure(map_tokens=0)
    lab.server.script(call("Rename", {"symbol": "open_store", "new_name": "make_store"}), say("I will do it by hand."))
    await lab.run()
    assert "src/odd.py:1" in results(lab, 1)[0] and "Nothing was changed" in results(lab, 1)[0]


# --- The map in the first message ---


async def test_the_map_is_about_the_prompt_and_without_what_may_not_be_read(lab: Lab, tmp_path: Path) -> None:
    fill(lab.project)
    index = Index(lab.project, tmp_path / "cache")
    assert await index.wait(60)
    await index.close()
    ready = asyncio.Event()

    async def wait() -> None:
        await ready.wait()

    first_map = FirstMap(lab.project, tmp_path / "cache", 200)
    first_map.start()
    try:
        text = await first_map.take(
            "Why does open_store return a Store? See part3.",
            wait,
            lambda path: path.name,
            lambda path: "part3" not in path.name,
        )
    finally:
        await first_map.close()
    assert text.startswith("<map>\n") and text.endswith("\n</map>")
    assert "store.py\n" in text and "def open_store()" in text
    assert "part3" not in text


async def test_where_a_person_waits_anyway_the_map_may_come_a_moment_later(lab: Lab, tmp_path: Path) -> None:
    fill(lab.project)
    index = Index(lab.project, tmp_path / "cache")
    assert await index.wait(60)
    await index.close()

    async def at_once() -> None:
        return

    first_map = FirstMap(lab.project, tmp_path / "cache", 200, patience=60)
    first_map.start()
    try:
        assert "open_store" in await first_map.take("open_store", at_once)
    finally:
        await first_map.close()


async def test_a_map_that_comes_too_late_is_left_out_and_its_process_ends(lab: Lab, tmp_path: Path) -> None:
    fill(lab.project)

    async def at_once() -> None:
        return

    first_map = FirstMap(lab.project, tmp_path / "cache", 200)
    first_map.start()
    assert await first_map.take("open_store", at_once) == ""
    await first_map.close()
    assert await first_map.take("open_store", at_once) == ""


async def test_the_map_is_off_for_few_files_and_by_its_setting(lab: Lab) -> None:
    assert is_tiny(lab.project)
    (lab.project / "a.py").write_text("def f(): pass\n")
    assert is_tiny(lab.project)
    fill(lab.project)
    assert not is_tiny(lab.project)
    assert is_tiny(Path.home())
    assert not is_huge(lab.project)
    (lab.project / ".git").mkdir(exist_ok=True)
    (lab.project / ".git" / "index").write_bytes(b"DIRC" + (2).to_bytes(4, "big") + (60_000).to_bytes(4, "big"))
    assert is_huge(lab.project)
    lab.configure(map_tokens=0)
    lab.server.script(say("hi"))
    await lab.run("open_store")
    assert "<map>" not in json.dumps(lab.server.requests[0].messages)


def test_a_run_with_a_warm_cache_shows_the_map_to_the_model(server: FakeServer, tmp_path: Path) -> None:
    program = make_program(server, tmp_path)
    fill(program.project)
    assert program.run("map").code == 0
    for _ in range(5):  # a machine that is busy enough may leave it out
        server.script(say("hello"))
        # Freshly: the map has as long as the imports take.
        done = program.run("-p", "What is open_store?", "--output-format", "json", fresh=True)
        assert done.code == 0, done.stderr
        if "src/store.py\n     1 class Store" in server.requests[-1].last["content"]:
            return
    pytest.fail("no run carried a map")


# --- Commands ---


@frozen
class Done:
    code: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all commands, so that only the first of them finds no cache."""
    return fill(tmp_path_factory.mktemp("map") / "project")


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """A command line in the project, in this process."""
    monkeypatch.setenv("KIMI_CODE_DIR", str(project.parent / "home"))
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*args: str, cwd: Path = project) -> Done:
        monkeypatch.chdir(cwd)
        capfd.readouterr()
        code = main(args)
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    return run


def output(run: Run, *args: str, **where: Path) -> Any:
    done = run(*args, **where)
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)


def test_map_prints_text_and_json_within_its_tokens(run: Run) -> None:
    made = output(run, "map", "--json", "--tokens", "60", "--focus", "open_store")
    assert set(made) == {"text", "tokens", "partial", "files"}
    assert made["tokens"] <= 60 and made["partial"] is False
    assert made["files"][0]["path"] == "src/store.py"
    assert {"name": "open_store", "kind": "function", "line": 6} in made["files"][0]["symbols"]
    plain = run("map", "--tokens", "60", "--focus", "open_store")
    assert plain.stdout == made["text"] + "\n"
    assert "\x1b" not in plain.stdout


def test_map_of_a_folder_holds_nothing_else_and_its_paths_are_as_typed(run: Run) -> None:
    assert [file["path"] for file in output(run, "map", "web", "--json")["files"]] == ["web/cart.ts"]
    assert [file["path"] for file in output(run, "-C", "web", "map", "--json")["files"]] == ["cart.ts"]
    focused = output(run, "map", "--json", "--focus", "cmd/run.go", "--tokens", "30")
    assert focused["files"][0]["path"] == "cmd/run.go"
    assert "does not exist" in run("map", "gone").stderr
    assert "is a file" in run("map", "src/main.py").stderr


def test_map_says_why_it_is_empty_and_which_focus_leads_nowhere(run: Run, tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor/a.py").write_text("def f(): pass\n")
    empty = run("map", cwd=tmp_path)
    assert (empty.code, empty.stdout) == (0, "")
    assert "no definition here fits in 2,000 tokens; skipped: 1 vendored" in empty.stderr
    lost = run("map", "--focus", "zzzz", "--focus", "/", "--focus", "open_store", "--focus", "src/store.py")
    assert lost.stdout and lost.stderr.count("the map is not about it") == 2
    assert "'zzzz' is neither a file nor a definition" in lost.stderr
    assert run("map", "--focus", "open_store").stderr == ""


def test_map_without_waiting_answers_with_what_there_is(run: Run, tmp_path: Path) -> None:
    fresh = fill(tmp_path / "project")
    made = output(run, "map", "--no-wait", "--json", cwd=fresh)
    assert made["partial"] in (True, False) and made["tokens"] <= 2000


def test_symbols_prints_a_table_and_json_best_first(run: Run) -> None:
    found = output(run, "symbols", "store", "--json")
    assert (found[0].pop("signature"), found[0].pop("container")) == ("class Store", "")
    assert found[0] == {"name": "Store", "kind": "class", "path": "src/store.py", "line": 1}
    assert [each["name"] for each in output(run, "symbols", "Store.p", "--json", "--kind", "method")] == ["put"]
    assert "src/store.py:6  function  open_store" in run("symbols", "open_store").stdout
    nothing = run("symbols", "zzz", "--json")
    assert (nothing.code, json.loads(nothing.stdout)) == (1, [])
    assert "klass" in run("symbols", "x", "--kind", "klass").stderr
