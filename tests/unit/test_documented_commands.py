"""What the documentation says to type is what the program knows."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from kimi_code.cli.tree import Command, build_tree

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md", "docs/*.md")
OPERATORS = {"|", ">", "<", "&&", ";"}


def commands() -> Iterator[str]:
    """Every `kimi-code ...` between backticks or in a block, without comments, results and what it is piped into."""
    for pattern in WRITTEN:
        for page in sorted(ROOT.glob(pattern)):
            for line in page.read_text(encoding="utf-8").splitlines():
                found = re.findall(r"`(kimi-code [^`]+)`", line)
                if block := re.match(r" {4}(?:\S.* \| )?(kimi-code .+)", line):
                    found.append(re.split(r" {2,}", block[1])[0])
                yield from found


def unknown(command: Command, words: list[str]) -> list[str]:
    """The options that the command, or one below it that is named, does not have."""
    while words:
        word = words.pop(0)
        if word == "--" or word in OPERATORS:
            break
        if word.startswith("-") and word != "-":
            option = next((each for each in command.options if word in each.names), None)
            if option is None:
                return [f"{command.name} {word}"]
            words = words[option.value is not None :]
        elif below := next((each for each in command.commands if each.name == word), None):
            return unknown(below, words)
    return []


@pytest.fixture(scope="module")
def program() -> Command:
    return build_tree()


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_the_options_of_a_documented_command_exist(line: str, program: Command) -> None:
    words = shlex.split(line, comments=True)[1:]
    assert unknown(program, words) == []
