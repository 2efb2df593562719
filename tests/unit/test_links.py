"""Files named among words become links; links lead back to files, and to editors in their own terms."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.tui.outside.opening import has_desktop, opener
from kimi_code.tui.strips.links import FileLinks, as_opened_in, file_at, with_links

FILE = Path("/project/src/a b.py")


def linked(text: str) -> dict[str, str]:
    return {span.text: span.link for span in with_links(text, "", lambda path, line: f"{path}#{line}") if span.link}


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("see src/a.py and b.py:12, too.", {"src/a.py": "src/a.py#0", "b.py:12": "b.py#12"}),
        ("tests/test_a.py:4: AssertionError", {"tests/test_a.py:4": "tests/test_a.py#4"}),
        ("/x/y.rs:3:5 ../z.go:7-9", {"/x/y.rs:3:5": "/x/y.rs#3", "../z.go:7-9": "../z.go#7"}),
        ('  File "/x/a b.py", line 4, in f', {'File "/x/a b.py", line 4': "/x/a b.py#4"}),
        ("either b.py, e.g. this or 3.11/3.12, example.org:80x, a@b.cd:22", {}),
        ("call a.b(1), obj.method:thing, http://x.y/z.py", {}),
        ("", {}),
    ],
)
def test_paths_with_a_folder_or_a_line_are_links_and_other_words_are_not(text: str, links: dict[str, str]) -> None:
    assert linked(text) == links


@given(st.text(alphabet="ab./:\\1 \"',@é~", max_size=80))
def test_no_character_is_lost_or_added(text: str) -> None:
    assert "".join(span.text for span in with_links(text, "", lambda path, line: "file:///x")) == text


@pytest.mark.skipif(Path("/").drive != "", reason="paths of this kind")
@pytest.mark.parametrize("place", [(FILE, 0), (FILE, 12), (Path("/a#b/c%20d.py"), 3)])
def test_a_link_leads_back_to_its_file(place: tuple[Path, int]) -> None:
    assert file_at(FileLinks("/project")(str(place[0]), place[1])) == place
    assert file_at("https://x.y/z") is None


VSCODE = {"TERM_PROGRAM": "vscode", "TERM_PROGRAM_VERSION": "1.120.0"}


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({}, "file:///project/a%20b.py#L12"),
        (VSCODE, "vscode://file/project/a%20b.py:12"),
        ({**VSCODE, "TERM_PROGRAM_VERSION": "1.121.0-insider"}, "vscode-insiders://file/project/a%20b.py:12"),
        ({**VSCODE, "CURSOR_TRACE_ID": "x"}, "cursor://file/project/a%20b.py:12"),
        ({**VSCODE, "VSCODE_IPC_HOOK_CLI": "/run/x.sock"}, ""),
        ({"TERMINAL_EMULATOR": "JetBrains-JediTerm"}, ""),
    ],
)
def test_the_terminal_of_an_editor_is_told_what_opens_in_it(env: dict[str, str], told: str) -> None:
    tell = as_opened_in(env)
    assert tell("file:///project/a%20b.py#L12") == told
    assert tell("https://x.y/z") == "https://x.y/z"


def command(env: dict[str, str], line: int = 12) -> tuple[str, ...]:
    found = opener(Path("/p/a.py"), line, env, "linux")
    return found.command if found else ()


def test_editors_are_told_the_line_each_in_its_way(tmp_path: Path) -> None:
    assert command({"EDITOR": "vim"}) == ("vim", "+12", "/p/a.py")
    assert command({"EDITOR": "vi", "VISUAL": "code --wait"}) == ("code", "-g", "/p/a.py:12")
    assert command({"EDITOR": "nvim -R"}, line=0) == ("nvim", "-R", "/p/a.py")
    assert command({"EDITOR": "/opt/hx"}) == ("/opt/hx", "/p/a.py:12")
    assert command({"EDITOR": "mine"}) == ("mine", "/p/a.py")
    assert command({}) == ()


@pytest.mark.skipif(not hasattr(Path, "chmod") or Path("/").drive != "", reason="programs are files with a bit here")
def test_in_the_terminal_of_an_editor_it_is_that_editor_that_opens(tmp_path: Path) -> None:
    for name in ("code", "pycharm"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": str(tmp_path), "EDITOR": "vim"}
    assert command({**env, **VSCODE}) == (f"{tmp_path}/code", "-g", "/p/a.py:12")
    jetbrains = {**env, "TERMINAL_EMULATOR": "JetBrains-JediTerm"}
    assert command(jetbrains) == (f"{tmp_path}/pycharm", "--line", "12", "/p/a.py")
    assert command({**VSCODE, "PATH": "", "EDITOR": "vim"}) == ("vim", "+12", "/p/a.py")


def test_a_browser_is_started_only_where_somebody_sees_it() -> None:
    assert has_desktop({"DISPLAY": ":0"}, "linux")
    assert has_desktop({}, "darwin")
    assert not has_desktop({"DISPLAY": ":10", "SSH_CONNECTION": "1 2 3 4"}, "linux")
    assert not has_desktop({}, "linux")
