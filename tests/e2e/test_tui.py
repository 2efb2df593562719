"""The program on a real terminal: turns, approvals, signals, kill -9, screens of any size, terminals that are none."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kimi_code.session.store import Store
from tests.program import KEY, PATIENCE, Program
from tests.server import Received, Reply, call, cut, hang, say
from tests.unit.test_images import png

if sys.platform == "win32":
    pytest.skip("needs a pty", allow_module_level=True)

from tests.terminal import Terminal

LEFT = "\x1b[?1049l"  # the terminal shows again what it showed before
DARK, LIGHT = b"38;2;214;217;224", b"38;2;36;39;46"  # the colours of words on a dark and on a light ground


def configure(program: Program, text: str) -> None:
    """Write the user's settings."""
    file = program.data.parent / "config.toml"
    file.parent.mkdir()
    file.write_text(text)


def test_a_turn_with_an_approval_then_words_in_any_script_and_an_image_on_a_small_terminal(
    program: Program,
) -> None:
    configure(program, 'model = "eye"\n[models.eye]\nid = "kimi-k3"\nvision = true\n')
    file, shot = program.project / "a.txt", program.project / "a shot.png"
    file.write_text("one\n")
    shot.write_bytes(png(30, 20))
    program.server.script(
        call("Read", {"path": "a.txt"}),
        call("Edit", {"path": "a.txt", "old_string": "one", "new_string": "two"}),
        say("Es ist 你好 geändert."),
        say("Verstanden."),
        say("Grey."),
    )
    with Terminal(program, "ändere es 你好") as terminal:
        terminal.wait_for("allow once")
        terminal.wait_for("Edit(a.txt)")
        terminal.press("y", lambda: file.read_text() != "one\n")
        terminal.wait_for("geändert")
        terminal.wait_for("✓ done")
        assert DARK in terminal.raw
        assert LIGHT not in terminal.raw

        terminal.type("日本語 e\u0301 🙂 עברית")
        terminal.wait_for("עברית")
        # Where an input method shows its candidates: behind the mark and 17 cells of words.
        row = next(y for y, line in enumerate(terminal.screen) if line.startswith(" ❯ 日本語"))
        terminal.until(lambda: terminal.cursor == (3 + 17, row), "the cursor at the caret")
        terminal.type("\r")
        terminal.wait_for("Verstanden.")
        terminal.until(lambda: terminal.text.count("✓ done") == 2)

        dropped = str(shot).replace(" ", "\\ ")
        terminal.type(f"\x1b[200~{dropped}\x1b[201~")
        terminal.wait_for("[image #1: a shot.png]")
        terminal.type("what is it?\r")
        terminal.wait_for("Grey.")

        assert terminal.leave() == 0
        terminal.wait_for("Go on with: kimi-code -r")
        assert LEFT.encode() in terminal.raw
        assert terminal.modes == terminal.modes_before
    first, _, _, second, third = program.server.requests
    assert first.last["content"].endswith("ändere es 你好")
    assert file.read_text() == "two\n"
    assert second.last["content"].endswith("日本語 e\u0301 🙂 עברית")
    words, picture = third.last["content"]
    assert words["text"].endswith("[image #1: a shot.png] what is it?")
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")


def draft(program: Program) -> str:
    """What is being typed, as it is kept."""
    return "".join(file.read_text() for file in program.data.rglob("draft.txt"))


def wait_for_draft(program: Program, terminal: Terminal, text: str) -> None:
    """Until it is on the disk; nothing on the screen tells."""
    for _ in range(int(PATIENCE / 0.05)):
        if draft(program) == text:
            return
        try:
            terminal.process.wait(0.05)
        except subprocess.TimeoutExpired:
            pass
    pytest.fail(f"the draft is {draft(program)!r}")


def test_a_killed_session_is_resumed_with_all_it_said_and_what_was_being_typed(program: Program) -> None:
    program.server.script(
        say("The first answer."), hang(4000, say("The second one is long. " * 30)), say("Here again.")
    )
    with Terminal(program, "first") as terminal:
        terminal.wait_for("The first answer.")
        terminal.wait_for("✓ done")
        terminal.type("second\r")
        terminal.wait_for("The second one")
        terminal.type("go")
        wait_for_draft(program, terminal, "go")
        terminal.type(" on")  # a draft that was kept before is kept again
        wait_for_draft(program, terminal, "go on")
        terminal.process.send_signal(signal.SIGKILL)
        assert terminal.end() == -signal.SIGKILL
    with Terminal(program, "-c") as terminal:
        terminal.wait_for("The first answer.")
        terminal.wait_for("❯ go on")
        terminal.type("\r")
        terminal.wait_for("Here again.")
        assert terminal.leave() == 0
    assert program.server.requests[2].last["content"].endswith("go on")


def test_flags_open_the_screen_with_an_older_session_and_the_wheel_scrolls_it(program: Program) -> None:
    program.server.models = [{"id": "kimi-k3", "supports_reasoning": True}]
    program.server.script(say("".join(f"{number}. point\n" for number in range(1, 81))), say("Thought through."))
    done = program.run("-p", "list them", "--output-format", "json")
    with Terminal(program, "-r", done.result["session_id"], "--thinking", "high") as terminal:
        terminal.wait_for("80. point")
        assert " 1. point" not in terminal.text
        terminal.type("\x1b[<64;10;10M" * 40)
        terminal.wait_for(" 1. point")
        terminal.type("\x1b[<65;10;10M" * 60)
        terminal.wait_for("80. point")
        terminal.wait_for("thinking high")
        terminal.type("and?\r")
        terminal.wait_for("Thought through.")
        assert terminal.leave() == 0
    assert len(program.server.requests[1].messages) > 3


@pytest.mark.parametrize("name", ["SIGTERM", "SIGQUIT"])
def test_a_signal_saves_the_session_and_restores_the_terminal(program: Program, name: str) -> None:
    number = signal.Signals[name]
    program.server.script(hang(4000, say("A long answer. " * 30)))
    with Terminal(program, "hello") as terminal:
        terminal.wait_for("A long answer.")
        terminal.process.send_signal(number)
        assert terminal.end() == 128 + number
        assert terminal.modes == terminal.modes_before
        assert "Traceback" not in terminal.text
    assert [meta.title for meta in Store(program.data).list()] == ["hello"]


DEAF = """
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from kimi_code.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("code", ["", DEAF], ids=["told", "not told"])
def test_closing_the_window_saves_the_session_and_ends_the_program(program: Program, code: str) -> None:
    program.server.script(hang(4000, say("A long answer. " * 30)))
    with Terminal(program, "hello", code=code) as terminal:
        terminal.wait_for("A long answer.")
        terminal.hang_up()
        terminal.process.wait(timeout=PATIENCE)
    assert [meta.title for meta in Store(program.data).list()] == ["hello"]


def test_a_lost_connection_is_a_countdown_that_a_key_skips_then_it_streams_through_resizes_and_is_interrupted(
    program: Program,
) -> None:
    configure(program, "retry_wait = 500.0\n")
    program.server.script(
        cut(20, say("Words that never end. " * 20)),
        say("Back again."),
        hang(6000, say("Words and more words. " * 60)),
    )
    with Terminal(program, "hello") as terminal:
        terminal.wait_for("Ctrl+T tries now")
        terminal.wait_for("Try 2 in ")
        terminal.type("\x14")
        terminal.wait_for("Back again.")
        terminal.wait_for("✓ done")
        terminal.type("more\r")
        terminal.wait_for("Words and more")
        for size in ((60, 20), (160, 50), (40, 10), (90, 25)):
            terminal.resize(*size)
        terminal.wait_for("Esc interrupts")
        terminal.type("\x1b")
        terminal.wait_for("interrupted")
        assert terminal.leave() == 0


def test_the_demo_plays_in_the_screen(program: Program) -> None:
    with Terminal(program, "demo", "--fast") as terminal:
        terminal.wait_for("all four tests pass")
        assert terminal.leave() == 0
        terminal.wait_for("words were scripted")


BUGGY = """
import sys
from pathlib import Path
from kimi_code.cli.run import RunFlags
from kimi_code.cli.tui import LocalHost, run
from kimi_code.tui.app import KimiApp
from kimi_code.tui.host import Which

class Host(LocalHost):
    async def files(self):
        raise RuntimeError("a bug with sk-the-secret-key-0123456789")

sys.exit(run(KimiApp(Host(RunFlags(), Path.cwd()), Which())))
"""


def test_a_bug_restores_the_terminal_and_leaves_a_report_without_secrets(program: Program) -> None:
    program.server.script(say("Fine."))
    with Terminal(program, code=BUGGY, ground=None) as terminal:
        terminal.wait_for("Ask for something")
        terminal.type("hello\r")
        terminal.wait_for("Fine.")
        terminal.type("@")
        assert terminal.end() == 1
        assert terminal.modes == terminal.modes_before
        assert LEFT.encode() in terminal.raw
        assert b"a bug of its own: RuntimeError" in terminal.raw
        terminal.wait_for("Go on with: kimi-code -r")
        assert "Traceback" not in terminal.text
        assert b"Unclosed" not in terminal.raw
        assert KEY not in terminal.text
    (report,) = (program.data / "crashes").iterdir()
    assert "in files" in report.read_text()
    assert KEY not in report.read_text()


def test_a_terminal_that_cannot_show_it_is_told_what_can(program: Program) -> None:
    with Terminal(program, "hello there", env={"TERM": "dumb"}) as terminal:
        assert terminal.end() == 2
        terminal.wait_for("TERM=dumb")
        terminal.wait_for("kimi-code -p")


def test_without_a_terminal_words_are_no_command_and_no_screen(program: Program) -> None:
    done = program.run("hello there")
    assert done.code == 2
    assert "there is no terminal" in done.stderr
    near = program.run("docter")
    assert "did you mean 'doctor'" in near.stderr


def test_undo_redo_and_a_restore_from_the_timeline_after_a_kill_and_a_resume(program: Program) -> None:
    file = program.project / "a.txt"
    file.write_text("mine\n")
    program.server.script(
        call("Read", {"path": "a.txt"}),
        call("Write", {"path": "b.txt", "content": "new\n"}, id="c2"),
        say("The first."),
        call("Edit", {"path": "a.txt", "old_string": "mine", "new_string": "theirs"}, id="c3"),
        hang(4000, say("Words that never end. " * 30)),
        say("Here again."),
    )
    with Terminal(program, "-y", "read it, write another") as terminal:
        terminal.wait_for("The first.")
        terminal.wait_for("✓ done")
        terminal.type("change it\r")
        terminal.wait_for("Words that never")
        terminal.process.send_signal(signal.SIGKILL)
        assert terminal.end() == -signal.SIGKILL
    assert file.read_text() == "theirs\n"
    with Terminal(program, "-y", "-c") as terminal:
        terminal.wait_for("❯ Ask for something")
        for command, text, said in (
            ("/undo", "mine\n", "Turn 2 was taken back"),
            ("/redo", "theirs\n", "Turn 2 was brought back"),
        ):
            terminal.type(f"{command}\r")
            terminal.wait_for("Enter do it")
            terminal.wait_for("~ a.txt")
            terminal.type("\r")
            terminal.wait_for(said)
            assert file.read_text() == text
            if command == "/undo":
                terminal.wait_for("change it  (taken back)")
        terminal.type("/checkpoints\r")
        terminal.wait_for("end of turn 1")
        terminal.type("\x1b[B" * 3)
        terminal.until(lambda: any(line.startswith("›") and "end of turn 1" in line for line in terminal.screen))
        terminal.type("\r")
        terminal.wait_for("Enter do it")
        terminal.type("\r")
        terminal.wait_for("Restored")
        assert file.read_text() == "mine\n"
        terminal.type("and now?\r")
        terminal.wait_for("Here again.")
        assert terminal.leave() == 0
        assert terminal.modes == terminal.modes_before
    assert file.read_text() == "mine\n"


TWENTY = "".join(f"{n}\n" for n in range(1, 21))
EDITS = {
    "path": "a.txt",
    "edits": [{"old_string": "2\n3", "new_string": "two\n3"}, {"old_string": "20", "new_string": "xx"}],
}


def test_a_reviewed_turn_is_applied_by_hunks(program: Program) -> None:
    (program.project / "a.txt").write_text(TWENTY)
    program.server.script(call("Read", {"path": "a.txt"}), call("Edit", EDITS), say("Done."))
    with Terminal(program, "--review", "turn", "change it") as terminal:
        terminal.wait_for("choose hunks")
        assert (program.project / "a.txt").read_text() == TWENTY
        terminal.type_slowly("j ")
        terminal.wait_for("1 of 2 taken")
        terminal.type_slowly("\r")
        terminal.wait_for("✓ Review")
        terminal.wait_for("✓ done")
        assert terminal.leave() == 0
    assert (program.project / "a.txt").read_text() == TWENTY.removesuffix("20\n") + "xx\n"


def test_words_typed_ahead_an_edit_in_an_editor_a_denial_with_words_and_a_steered_turn_on_a_large_light_terminal(
    program: Program, tmp_path: Path
) -> None:
    (program.project / "a.txt").write_text(TWENTY)
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import sys\nwith open(sys.argv[1], 'a') as file:\n    file.write('mine\\n')\nprint('the editor is here')\n"
    )
    steered = threading.Event()

    def held(_: Received) -> Reply:
        steered.wait(PATIENCE)
        return call("Read", {"path": "a.txt"}, id="c4")

    program.server.script(
        call("Read", {"path": "a.txt"}, id="c1"),
        call("Edit", EDITS, id="c2"),
        call("Bash", {"command": "touch made"}, id="c3"),
        held,
        say("Yours it is."),
    )
    env = {"VISUAL": f"{sys.executable} {editor}"}
    with Terminal(program, size=(160, 40), ground="ffff/ffff/ffff", env=env, fresh=True) as terminal:
        terminal.type("change it")  # before the screen is there
        terminal.wait_for("❯ change it")
        terminal.type("\r")
        terminal.wait_for("Edit(a.txt)")
        terminal.wait_for("allow once")
        terminal.press("e", lambda: b"the editor is here" in terminal.raw)
        terminal.wait_for("not known to be harmless")
        terminal.press("n", lambda: "Words for the model" in terminal.text)
        terminal.type("rather by hand\r")
        terminal.until(lambda: len(program.server.requests) == 4)
        terminal.type("carefully")
        terminal.wait_for("❯ carefully")
        terminal.type("\x13")
        terminal.wait_for("❯ Ask for something")
        steered.set()
        terminal.wait_for("Yours it is.")
        assert LIGHT in terminal.raw
        assert DARK not in terminal.raw
        terminal.type("nothing but ")
        terminal.wait_for("❯ nothing but")
        terminal.type("\x07")
        terminal.wait_for("❯ nothing but mine")
        terminal.type("\x03")
        terminal.wait_for("❯ Ask for something")
        assert terminal.leave() == 0
    expected = TWENTY.replace("2\n", "two\n", 1).removesuffix("20\n") + "xx\nmine\n"
    assert (program.project / "a.txt").read_text() == expected
    assert not (program.project / "made").exists()
    assert "rather by hand" in program.server.requests[3].last["content"]
    assert program.server.requests[4].last["content"] == "carefully"
