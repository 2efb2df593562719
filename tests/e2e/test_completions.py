"""The scripts, loaded by the real shells and asked what comes next."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

COMPLETIONS = Path(__file__).resolve().parents[2] / "completions"

CASES = [
    ("sess", {"sessions"}),
    ("--output-f", {"--output-format"}),
    ("--output-format js", {"json", "jsonl"}),
    ("--permission-mode ", {"ask", "edits", "auto", "plan"}),
    ("-m some-model sessions ", {"list", "show", "export", "fork", "delete"}),
    ("-p doctor sess", {"sessions"}),
    ("sessions list --a", {"--all"}),
    ("sessions export --format ", {"markdown", "jsonl"}),
    ("completions show ", {"bash", "zsh", "fish", "powershell"}),
    ("config ", {"show", "path", "schema"}),
]

BASH = """
source "$1"
shift
for words; do
  read -ra COMP_WORDS <<< "kimi-code $words"
  [[ $words == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _kimi_code
  printf '%s\\n' "${COMPREPLY[@]}"
  printf '%s\\n' ---
done
"""
FISH = """
source $argv[1]
for words in $argv[2..]
  complete -C "kimi-code $words"
  echo ---
end
"""


def needs(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed: its completion script was NOT loaded")
    return found


def lines(output: str) -> set[str]:
    return {line.split("\t")[0].strip() for line in output.splitlines() if line.strip()}


def offered(output: str) -> list[tuple[str, set[str]]]:
    """Each case's words with what was offered for them."""
    return [(words, lines(part)) for (words, _), part in zip(CASES, output.split("---\n")[:-1], strict=True)]


def test_bash_offers_what_comes_next() -> None:
    command = [needs("bash"), "--norc", "-c", BASH, "bash", str(COMPLETIONS / "kimi-code.bash")]
    done = subprocess.run([*command, *(words for words, _ in CASES)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert offered(done.stdout) == CASES


def test_bash_completes_a_value_after_an_equals_sign_and_file_names_with_blanks(tmp_path: Path) -> None:
    (tmp_path / "a schema.json").touch()
    program = """
    source "$1"
    COMP_WORDS=(kimi-code --output-format = jsonl); COMP_CWORD=3; _kimi_code; printf '%s\\n' "${COMPREPLY[@]}"
    COMP_WORDS=(kimi-code --output-schema "a s"); COMP_CWORD=2; _kimi_code; printf '%s\\n' "${COMPREPLY[@]}"
    """
    script = str(COMPLETIONS / "kimi-code.bash")
    done = subprocess.run(
        [needs("bash"), "--norc", "-c", program, "bash", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["jsonl", "a schema.json"]


def test_fish_offers_what_comes_next(tmp_path: Path) -> None:
    command = [needs("fish"), "--no-config", "-c", FISH, str(COMPLETIONS / "kimi-code.fish")]
    env = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    done = subprocess.run(
        [*command, *(words for words, _ in CASES)], capture_output=True, text=True, check=True, env=env
    )
    assert done.stderr == ""
    assert offered(done.stdout) == CASES


@pytest.fixture(scope="module")
def zsh_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where zsh keeps which completions the system has: to look takes it most of its time."""
    return tmp_path_factory.mktemp("zsh")


@pytest.mark.parametrize(("words", "expected"), CASES)
def test_zsh_offers_what_comes_next(words: str, expected: set[str], zsh_folder: Path) -> None:
    env = {
        **os.environ,
        "ZDOTDIR": str(zsh_folder),
        "KIMI_COMPLETIONS": str(COMPLETIONS / "_kimi-code"),
        "TERM": "dumb",
    }
    capture = str(Path(__file__).parent / "completions_capture.zsh")
    done = subprocess.run(
        [needs("zsh"), "-f", capture, f"kimi-code {words}"],
        capture_output=True,
        text=True,
        check=False,
        env=env,
        timeout=30,
    )
    assert lines(done.stdout) == expected


def test_zsh_finds_the_script_on_its_fpath(tmp_path: Path) -> None:
    program = f"fpath=({COMPLETIONS} $fpath); autoload -Uz compinit; compinit -u -D; print $_comps[kimi-code]"
    done = subprocess.run(
        [needs("zsh"), "-f", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.stdout.strip() == "_kimi-code"
