"""The shell parser against real shells, composed commands and noise."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from kimi_code.cli import permissions
from kimi_code.cli.app import main
from kimi_code.cli.run import RunFlags
from kimi_code.events import Effect
from kimi_code.permissions import shell
from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.policy import Policy
from kimi_code.permissions.rules import parse as parse_rule
from tests.unit.test_corpus import EVERYDAY, ROWS

ROOT = Path("/nowhere/project")
# Each program once: `sh` is one of the others in most places.
SHELLS = list(
    {os.path.realpath(path): name for name in ("sh", "dash", "bash") if (path := shutil.which(name))}.values()
)


def words(command: str) -> list[list[str | None]]:
    return [[word.value for word in simple.words] for simple in shell.parse(command).commands]


def decide(command: str, *, allow: str = "", deny: str = "", yolo: bool = False) -> str:
    rules = (*(parse_rule(r, "allow") for r in [allow] if r), *(parse_rule(r, "deny") for r in [deny] if r))
    policy = Policy("yolo" if yolo else "auto", rules, Boundary((ROOT,)))
    return policy.decide("Bash", Effect.EXECUTE, (command,)).decision


def suggest(policy: Policy, command: str) -> tuple[str, ...]:
    return policy.suggest(Effect.EXECUTE, (command,))


def test_quotes_and_backslashes_are_resolved() -> None:
    assert words(r"""a 'b c' "d e" f\ g h"i"'j' $'k\n\x41' "\$l\m" """) == [
        ["a", "b c", "d e", "f g", "hij", "k\nA", r"$l\m"]
    ]


def test_what_is_shown_of_a_line_is_what_was_written() -> None:
    line = shell.parse('[ "ä中" = "$x" ] && [ -f 中 ] && echo 中 > ä')
    assert [simple.text for simple in line.commands] == ['[ "ä中" = "$x" ]', "[ -f 中 ]", "echo 中"]
    assert {redirect.text for redirect in line.redirects} == {"> ä"}


def test_what_depends_on_something_else_is_not_known() -> None:
    assert words('a $b "$c" ${d} $(e) `f` {g,h} ~i') == [["e"], ["f"], ["a", *[None] * 7]]


def test_every_nested_command_is_found() -> None:
    line = shell.parse("a $(b $(c)) | (d; e) & if f; then g; elif h; then i; else j; fi; for x in $(k); do l; done")
    assert {simple.words[0].value for simple in line.commands if simple.words} == set("abcdefghijkl")
    assert not line.unknown


def test_environment_prefixes_and_redirections_stand_apart_from_the_words() -> None:
    line = shell.parse("A=1 B='x y' cmd arg <in >out 2>>log 2>&1 more")
    assert [word.exact for word in line.commands[0].assignments] == ["A=1", "B=x y"]
    assert words("A=1 cmd arg >out more") == [["cmd", "arg", "more"]]
    assert [(r.target.value, r.writes) for r in line.redirects] == [("in", False), ("out", True), ("log", True)]


@pytest.mark.parametrize("command", ["f() { ls; }", "cat <(ls)", "echo ${x@P}", "echo $((x))", "echo $[1]", "ls ;; ls"])
def test_what_may_do_more_than_it_says_is_unknown(command: str) -> None:
    assert shell.parse(command).unknown


@pytest.mark.parametrize("command", ["a\0b", "a\rb", "ls\u00a0-l", "ls \u2028", "echo 'x", "x" * 70_000, "\ud800"])
def test_what_no_shell_reads_alike_is_broken(command: str) -> None:
    assert shell.parse(command).broken


def test_depth_and_length_end_in_a_doubt_and_in_time() -> None:
    for command in (
        "(" * 5000,
        "{ " * 5000,
        "a;" * 30_000,
        "'" * 60_001,
        "`" * 30_000,
        "<<A " * 5000,
    ):
        shell.parse(command)
    assert shell.parse("$(" * 3000 + "ls" + ")" * 3000).broken


# --- Against real shells ----------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    ["a", "b.c", "--x", "'q r'", '"s t"', r"\ ", r"\'", "''", '""', "'$x'", r'"\$y"', r"\\", "=", ":", "é", "#",
    "{}", "@{0}",
     "%", "^", "!", "+", ",", r"\&", "'|'", '";"', "~x", "x~", "\\\n", '"a\\\nb"', "$", r"\#", "'\n'", "]", "..",
     "{a", "b}"]
)  # fmt: skip
WORDS = st.lists(PIECES, min_size=1, max_size=5).map("".join)
COMMANDS = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)
PRINT = "import json,sys; print(json.dumps(sys.argv[1:]))"


@pytest.fixture(scope="module")
def known_commands() -> dict[str, list[str | None]]:
    """Arguments of which every word is known, and those words."""
    samples: dict[str, list[str | None]] = {}

    @settings(max_examples=8 * settings().max_examples)
    @given(COMMANDS)
    def collect(command: str) -> None:
        line = shell.parse("show " + command)
        if not line.unknown and len(line.items) == 1 and all(word.exact is not None for word in line.commands[0].words):
            samples[command] = [word.value for word in line.commands[0].words[1:]]

    collect()
    assert len(samples) > 100
    return samples


@pytest.mark.parametrize("name", SHELLS)
def test_words_that_are_known_are_what_real_shells_make_of_them(
    name: str, known_commands: dict[str, list[str | None]]
) -> None:
    # One shell for all of them: a function that prints its words with a byte that none of them has.
    script = "show() { for w in \"$@\"; do printf '%s\\001' \"$w\"; done; printf '\\002'; }\n"
    script += "\n".join(f"show {sample}" for sample in known_commands)
    done = subprocess.run([name], input=script.encode(), capture_output=True, check=False, env={"LC_ALL": "C.UTF-8"})
    assert not done.stderr, done.stderr.decode()
    printed = done.stdout.decode().split("\x02")[:-1]
    assert len(printed) == len(known_commands)
    for (sample, known), shown in zip(known_commands.items(), printed, strict=True):
        assert known == shown.split("\x01")[:-1], repr(sample)


# --- Composed commands ------------------------------------------------------------------------------------------------


def quoted(draw: st.DrawFn, word: str) -> str:
    """A word in one of its many spellings."""
    at = draw(st.integers(0, len(word)))
    return draw(
        st.sampled_from(
            [word, f"'{word}'", f'"{word}"', f"\\{word}", f"{word[:at]}''{word[at:]}", f'{word[:at]}"{word[at:]}"',
             f"{word[:at]}\\\n{word[at:]}" if 0 < at < len(word) else word, f"$'{word}'"]
        )
    )  # fmt: skip


WRAPPERS = [
    "{}", "sudo {}", "sudo -u root {}", "env {}", "env -i A=1 {}", "nice {}", "nice -n 5 {}", "time {}", "timeout 5 {}",
    "timeout -k 1 --signal=KILL 5s {}", "nohup {}", "setsid {}", "command {}", "exec {}", "xargs {}",
    "xargs -0 -n 1 {}",
    "stdbuf -oL {}", "doas {}", "busybox {}", "2>/dev/null {}", "find . -exec {} \\;", "ionice -c 3 {}",
]  # fmt: skip
AROUND = [
    "A=1 {}",
    "{}", "ls; {}", "ls && {}", "ls || {}", "ls | {}", "ls & {}", "ls\n{}", "({})", "{{ {}; }}", "! {}", "echo $({})",
    "echo `{}`", 'echo "$({})"', "if {}; then ls; fi", "if ls; then {}; fi", "while {}; do ls; done", "x=$({})",
    "for i in 1; do {}; done", "{} &", "{} | cat", "cat <({})", "f() {{ {}; }}; f", "ls;{}", "ls&&{}", "ls|{}",
    "case a in a) {};; esac", "eval {}", "true # x\n{}",
]  # fmt: skip


@st.composite
def spellings(draw: st.DrawFn, program: str) -> str:
    name = draw(st.sampled_from([program, f"/bin/{program}", f"./{program}"]))
    command = f"{quoted(draw, name)} x"
    for _ in range(draw(st.integers(0, 2))):
        command = draw(st.sampled_from(WRAPPERS)).format(command)
    if draw(st.booleans()) and "'" not in command and "\\" not in command:
        command = f"bash -c '{command}'"
    for _ in range(draw(st.integers(0, 2))):
        command = draw(st.sampled_from(AROUND)).format(command)
    return command


@settings(max_examples=2 * settings().max_examples)
@given(spellings("frob"))
def test_no_spelling_of_a_denied_command_gets_through(command: str) -> None:
    assert decide(command, deny="Bash(frob *)", yolo=True) == "deny"


@given(spellings("frob"))
def test_no_allow_rule_lets_a_second_command_ride_along(command: str) -> None:
    assert decide(f"npm test; {command}", allow="Bash(npm *)") != "allow"
    assert decide(f"npm test {command}") != "allow"
    assert decide(f"npm test $({command})", allow="Bash(npm *)") != "allow"
    assert decide(f"npm test\n{command}", allow="Bash(npm test)") != "allow"


@given(st.lists(WORDS, max_size=3).map(lambda parts: " ".join(["frob", *parts])))
def test_suggested_rules_allow_exactly_what_was_asked_for(command: str) -> None:
    policy = Policy("auto", (), Boundary((ROOT,)))
    rules = suggest(policy, command)
    if rules:
        granted = Policy("auto", tuple(parse_rule(rule, "allow") for rule in rules), Boundary((ROOT,)))
        assert granted.decide("Bash", Effect.EXECUTE, (command,)).decision == "allow"
        assert granted.decide("Bash", Effect.EXECUTE, (command.replace("frob", "frob more", 1),)).decision == "ask"
        assert granted.decide("Bash", Effect.EXECUTE, ("frob other",)).decision == "ask"


def test_suggestions_name_each_command_and_nothing_wider() -> None:
    policy = Policy("auto", (), Boundary((ROOT,)))
    assert suggest(policy, "git status && rm -rf 'a b'") == ("Bash(rm -rf 'a b')",)
    assert suggest(policy, "npm test && A=1 make") == ("Bash(npm test)", "Bash(A=1 make)")
    assert suggest(policy, "timeout 5 npm test") == ("Bash(npm test)",)
    assert suggest(policy, "frob '*'") == ("Bash(frob '*')",)
    for unknowable in ("rm $x", "rm *", "eval x", "cat .env > $y", "echo 'x", "f() { ls; }", "\\rm x"):
        assert suggest(policy, unknowable) == (), unknowable


# --- Noise ------------------------------------------------------------------------------------------------------------

FRAGMENTS = st.sampled_from(
    ["$(", ")", "`", "'", '"', "\\", "\n", "<<E", "<<'E'", "E\n", ">", "<", "&", "|", ";", "{", "}", "((", "))",
    "[[", "]]",
     "${", "$'", "$\"", "#", "if ", "then ", "fi", "for x in ", "do ", "done", "case ", "esac", "=", "*", "~", "!",
     "\t", "é",
     "\x00", "\U0001f600", "a", "rm x", "<(", "coproc ", "function f ", "f() ", "select ", "time ", "&>", ">&", "<<<"]
)  # fmt: skip


@given(st.lists(FRAGMENTS | st.text(max_size=5), max_size=30).map("".join))
def test_noise_is_decided_on_without_a_crash(command: str) -> None:
    assert decide(command) in ("allow", "ask", "deny")
    assert decide(command, deny="Bash(frob *)", yolo=True) in ("allow", "deny")


@given(st.sampled_from([*EVERYDAY, *(row.command for row in ROWS)]), st.integers(0, 200), st.integers(0, 3), FRAGMENTS)
def test_mutated_commands_are_decided_on_without_a_crash(command: str, at: int, cut: int, noise: str) -> None:
    at %= len(command) + 1
    assert decide(command[:at] + noise + command[at + cut :]) in ("allow", "ask", "deny")


@pytest.mark.skipif("bash" not in SHELLS, reason="there is no bash")
@settings(max_examples=2 * settings().max_examples)
@given(st.lists(FRAGMENTS, max_size=12).map("".join))
def test_a_denied_command_behind_noise_is_denied_where_bash_would_run_it(noise: str) -> None:
    command = f"{noise}\nfrob x"
    verdict = decide(command, deny="Bash(frob *)", yolo=True)
    if verdict == "allow":
        # Then a shell must not run it: it is a comment, a here-document, a quoted text.
        script = f"frob() {{ printf 'RAN'; }}\nPATH=/nonexistent\n{command}"
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                ["bash", "-c", script.replace("\0", "")],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=folder,
                env={},
                timeout=10,
                check=False,
            )
        assert b"RAN" not in done.stdout, command


# --- The command line -------------------------------------------------------------------------------------------------


def ask_cli(arguments: list[str], given: str = "") -> Result:
    return CliRunner().invoke(
        permissions.app, ["test", *arguments], input=given, catch_exceptions=False, obj=RunFlags()
    )


def test_the_command_shows_each_part_and_one_verdict(capfd: pytest.CaptureFixture[str]) -> None:
    told = ["--allow", "Bash(npm *)", "--deny", "Bash(rm *)", "--json", "npm test && rm x"]
    code = main(["permissions", "test", *told])
    answer = json.loads(capfd.readouterr().out)
    assert (code, answer["verdict"], answer["confinable"], answer["rule"]) == (
        0,
        "deny",
        False,
        "Bash(rm *)",
    )
    assert [(part["command"], part["verdict"]) for part in answer["commands"]] == [
        ("npm test", "allow"),
        ("rm x", "deny"),
    ]


def test_the_words_behind_two_dashes_are_the_command() -> None:
    assert "verdict: ask (auto runs it confined where it can)" in ask_cli(["--", "npm", "run", "a b"]).stdout
    assert "verdict: allow" in ask_cli(["-y", "--", "rm", "x"]).stdout


def test_a_batch_answers_line_by_line_and_survives_bad_lines() -> None:
    lines = [
        '{"command": "ls"}',
        "no json",
        '{"command": 5}',
        '{"command": "rm x", "deny": ["Bash(rm *)"], "mode": "yolo"}',
        '{"command": "x", "allow": ["("]}',
        '{"command": "make", "mode": "huh"}',
        "",
        '{"command": "make"}',
    ]
    done = ask_cli(["--batch"], "\n".join(lines))
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer.get("verdict", "error") for answer in answers] == [
        "allow", "error", "error", "deny", "error", "error", "error", "ask",
    ]  # fmt: skip
    assert done.exit_code == 0
    assert answers[-1]["confinable"] is True
