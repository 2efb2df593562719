"""What a fresh interpreter has imported: the price of starting, asserted on sys.modules."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("openai", "httpx2", "aiohttp", "pydantic", "typer", "rich", "textual", "git", "asyncio", "jsonschema", "yaml")

PROGRAM = """
import sys
sys.argv[1:] = {argv!r}
from kimi_code import __main__
code = __main__.main()
sys.stderr.write(repr(sorted(m for m in {heavy!r} if m in sys.modules)))
sys.exit(code)
"""

STOP_AT_RUN = """
import sys
from kimi_code.cli import app, run
def run_nothing(flags):
    assert flags.prompt == "hi"
    return 0
run.run = run_nothing
code = app.main(["-p", "hi"])
sys.stderr.write(repr(sorted(m for m in {heavy!r} if m in sys.modules)))
sys.exit(code)
"""


def loaded(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules: list[str] = eval(done.stderr)
    return modules


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_told_before_anything_is_imported(flag: str) -> None:
    assert loaded(PROGRAM.format(argv=[flag], heavy=HEAVY)) == []


def test_a_run_begins_with_typer_and_what_typer_needs_and_nothing_else() -> None:
    assert set(loaded(STOP_AT_RUN.format(heavy=HEAVY))) <= {"typer", "pydantic"}


def test_help_needs_no_model_no_git_and_no_rich() -> None:
    assert set(loaded(PROGRAM.format(argv=["--help"], heavy=HEAVY))) <= {"typer", "pydantic"}


SCRIPTED_RUN = """
import sys
sys.argv[1:] = ["-p", "hi", "-m", "scripted:{script}", "--no-session"]
from kimi_code import __main__
code = __main__.main()
sys.stderr.write("\\n" + repr(sorted(m for m in {heavy!r} if m in sys.modules)))
sys.exit(code)
"""


def test_a_run_without_a_command_loads_no_sdk_no_parser_and_no_screen(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"model": "scripted", "steps": [{"text": "done"}]}')
    heavy = ("openai", "httpx2", "aiohttp", "rich", "textual", "git", "jsonschema", "tree_sitter", "yaml", "keyring")
    heavy += ("kimi_code.permissions.shell", "kimi_code.permissions.lines")
    program = SCRIPTED_RUN.format(script=script, heavy=heavy)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert eval(done.stderr.splitlines()[-1]) == []
