"""The corpus of decisions: every row holds, and docs/permissions.md shows some of them.

`python -m tests.unit.test_corpus` writes the table of that page.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kimi_code.events import Effect
from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.policy import Mode, Policy, Verdict
from kimi_code.permissions.rules import Decision, Rule, parse

HERE = Path(__file__).resolve()
CORPUS = HERE.parents[1] / "corpus"
PAGE = HERE.parents[2] / "docs" / "permissions.md"
BEGIN, END = "<!-- examples, made by `python -m tests.unit.test_corpus` -->", "<!-- end of examples -->"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of decisions.txt in its section."""

    section: str
    mode: Mode
    rules: tuple[Rule, ...]
    command: str
    decision: str
    confinable: bool


def read_rows() -> Iterator[Row]:
    section, mode, rules = "", "auto", list[Rule]()
    for line in (CORPUS / "decisions.txt").read_text("utf-8").splitlines():
        key, _, value = line.partition(": ")
        if line.startswith("== "):
            section, mode, rules = line[3:], "auto", []
        elif key == "mode":
            mode = value
        elif key in ("allow", "ask", "deny"):
            rules.append(parse(value, key))
        elif line and not line.startswith("#"):
            decision, command = line.split(None, 1)
            command = command.replace("⏎", "\n").replace("⇥", "\x0b")
            assert mode in ("ask", "edits", "auto", "plan", "yolo")
            yield Row(section, mode, tuple(rules), command, decision.rstrip("*"), decision.endswith("*"))


def read_everyday() -> list[str]:
    lines = (CORPUS / "everyday.txt").read_text("utf-8").splitlines()
    return [line for line in lines[2:] if line]


ROWS = list(read_rows())
EVERYDAY = read_everyday()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("corpus").resolve()
    root = base / "project"
    for folder in ("src", "tests", "docs", ".git/hooks", ".git/objects"):
        (root / folder).mkdir(parents=True)
    for name in ("README.md", "package.json", "pyproject.toml", "src/a.py", "src/b.py", "tests/test_a.py", ".env"):
        (root / name).write_text("x\n")
    (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (root / ".git" / "config").write_text('[core]\n\tbare = false\n[remote "origin"]\n\turl = https://x/y\n')
    (base / "outside.txt").write_text("secret\n")
    (root / "link").symlink_to(base / "outside.txt")
    return root


def decide(root: Path, command: str, rules: tuple[Rule, ...] = (), mode: Mode = "auto") -> Verdict:
    return Policy(mode, rules, Boundary((root,), (root.parent / "data",))).decide("Bash", Effect.EXECUTE, (command,))


@pytest.fixture(scope="module")
def verdicts(project: Path) -> list[Verdict]:
    """Of each row, by its own rules."""
    return [decide(project, row.command, row.rules, row.mode) for row in ROWS]


def test_the_corpus_is_large() -> None:
    assert len(ROWS) + len(EVERYDAY) >= 300
    assert len(EVERYDAY) >= 120


def test_every_row_of_the_corpus_is_decided_as_it_says(verdicts: list[Verdict]) -> None:
    wrong: list[str] = []
    for row, verdict in zip(ROWS, verdicts, strict=True):
        if (verdict.decision, verdict.confinable) != (row.decision, row.confinable):
            found = f"{verdict.decision}{'*' if verdict.confinable else ''}"
            wrong.append(f"[{row.section}] {row.command!r}: {found}, {verdict.reason}")
    assert not wrong, f"{len(wrong)} of {len(ROWS)}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("mode", ["ask", "plan"])
def test_everyday_commands_that_only_read_are_free_in_every_mode(project: Path, mode: Mode) -> None:
    asked = [command for command in EVERYDAY if decide(project, command, (), mode).decision != "allow"]
    print(f"{len(asked)} of {len(EVERYDAY)} everyday commands ask: {asked}")
    assert len(asked) <= 0.05 * len(EVERYDAY), asked


def test_no_row_that_asks_or_denies_is_let_through_by_an_unrelated_rule(project: Path, verdicts: list[Verdict]) -> None:
    unrelated = parse("Bash(frobnicate *)", "allow")
    for row, alone in zip(ROWS, verdicts, strict=True):
        verdict = decide(project, row.command, (*row.rules, unrelated), row.mode)
        assert verdict.decision == alone.decision, row.command


def test_a_deny_rule_only_ever_narrows(project: Path, verdicts: list[Verdict]) -> None:
    order: list[Decision] = ["allow", "ask", "deny"]
    denied = parse("Bash(frobnicate)", "deny")
    for row, alone in zip(ROWS, verdicts, strict=True):
        narrowed = decide(project, row.command, (*row.rules, denied), row.mode)
        assert order.index(narrowed.decision) >= order.index(alone.decision), row.command


# --- The page -------------------------------------------------------------------------------------------------------


def table() -> str:
    parts: list[str] = []
    for section in dict.fromkeys(row.section for row in ROWS if row.section.startswith("Documented: ")):
        title = section.removeprefix("Documented: ")
        parts.append(f"{title[0].upper()}{title[1:]}:\n\n| command | verdict |\n| --- | --- |")
        for row in ROWS:
            if row.section == section:
                command = row.command.replace("|", "\\|")
                verdict = row.decision + (", or confined" if row.confinable else "")
                parts.append(f"| `` {command} `` | {verdict} |")
        parts.append("")
    return "\n".join(parts)


def test_the_page_shows_the_examples_of_the_corpus() -> None:
    text = PAGE.read_text("utf-8")
    shown = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == table().strip(), "run `python -m tests.unit.test_corpus`"


if __name__ == "__main__":
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n\n{table()}\n{END}{rest.partition(END)[2]}", "utf-8", newline="\n")
    sys.exit(0)
