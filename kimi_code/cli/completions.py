"""`kimi-code completions`: show a shell's completion script, or put it where the shell finds it."""

import os
import sys
from pathlib import Path, PurePath
from typing import Annotated, Literal

import typer

from kimi_code.cli.output import say
from kimi_code.errors import ConfigError, UsageError
from kimi_code.values import frozen

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, help="Completion scripts for bash, zsh, fish and PowerShell."
)

Shell = Literal["bash", "zsh", "fish", "powershell"]
ShellArgument = Annotated[Shell | None, typer.Argument(metavar="SHELL", help="Your login shell when left out.")]


@frozen
class Installed:
    """Where the script went, and what the person has to do, if anything."""

    file: Path
    next_step: str


@app.command()
def show(shell: ShellArgument = None) -> None:
    """Print the script."""
    sys.stdout.write(script(shell or _own_shell()))


@app.command()
def install(shell: ShellArgument = None) -> None:
    """Write the script where the shell finds it; edits no other file."""
    home = Path(os.path.expanduser("~"))
    if not home.is_absolute():
        raise UsageError("There is no home folder to write to.", hint="`kimi-code completions show` prints the script.")
    installed = install_script(shell or _own_shell(), home)
    say(f"Written: {installed.file}")
    say(installed.next_step)


def script(shell: Shell) -> str:
    """The completion script of a shell."""
    from kimi_code.cli.completion_scripts import SCRIPTS
    from kimi_code.cli.tree import build_tree

    _, render = SCRIPTS[shell]
    return render(build_tree())


def install_script(shell: Shell, home: Path) -> Installed:
    """Write the script below `home` (or the XDG folders). Raises ConfigError when it cannot be written."""
    file, next_step = _place(shell, home)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script(shell), encoding="utf-8", newline="\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"{file} cannot be written: {reason}.", hint=f"`kimi-code completions show {shell}` prints the script."
        ) from None
    return Installed(file, next_step)


def _place(shell: Shell, home: Path) -> tuple[Path, str]:
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    match shell:
        case "bash":
            file = data / "bash-completion" / "completions" / "kimi-code"
            return file, f"New shells load it if the package bash-completion is there; else add to ~/.bashrc: . {file}"
        case "zsh":
            file = data / "zsh" / "site-functions" / "_kimi-code"
            return file, f"Add to ~/.zshrc, before compinit, if it is not there yet: fpath=({file.parent} $fpath)"
        case "fish":
            return config / "fish" / "completions" / "kimi-code.fish", "New shells load it."
        case "powershell":
            file = data / "kimi-code" / "kimi-code.ps1"
            return file, f"Add to the file that $PROFILE names: . {file}"


def _own_shell() -> Shell:
    name = PurePath(os.environ.get("SHELL", "")).name
    match name:
        case "bash" | "zsh" | "fish":
            return name
        case "pwsh":
            return "powershell"
        case _:
            raise UsageError("Which shell? $SHELL does not say.", hint="Give one of bash, zsh, fish, powershell.")
