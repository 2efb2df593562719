"""Completion scripts for four shells, made from the command tree. They start no Python when Tab is pressed."""

from collections.abc import Callable, Iterable, Mapping

from kimi_code.cli.tree import Command, Option, Value

_NOTE = "made by `python -m kimi_code.cli.reference`, not to be edited"


def _valued(command: Command) -> list[Option]:
    return [option for option in command.options if option.value is not None]


# --- bash: 3.2 and newer, without the bash-completion package --------------------------------------------------------


def bash(root: Command) -> str:
    """For bash; no arrays by name, no compopt needed, as macOS has bash 3.2."""
    commands = list(root.walk())
    return f"""\
# bash completion for kimi-code; {_NOTE}
_kimi_code() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} path="" pending="" words="" flags="" word i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        # bash takes --flag=value for three words
        if [[ $word == "=" ]]; then continue; fi
        if [[ -n $pending ]]; then pending=""; continue; fi
        case "$path:$word" in
            {_bash_cases(_taking_values(commands))}) pending=$word ;;
            {_bash_cases(_steps(commands))}) path=${{path:+$path }}$word ;;
        esac
    done
    if [[ $cur == "=" ]]; then cur=""; fi
    case "$path:$pending" in
{_bash_values(commands)}
        *:?*) return ;;
    esac
    case "$path" in
{_bash_words(commands)}
    esac
    if [[ $cur == -* ]]; then words=$flags; fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -F _kimi_code kimi-code
"""


def _taking_values(commands: Iterable[Command]) -> list[str]:
    return [
        f"{' '.join(command.path)}:{name}"
        for command in commands
        for option in _valued(command)
        for name in option.names
    ]


def _steps(commands: Iterable[Command]) -> list[str]:
    return [f"{' '.join(command.path[:-1])}:{command.name}" for command in commands if command.path]


def _bash_cases(words: Iterable[str]) -> str:
    return " | ".join(f'"{word}"' for word in words)


def _bash_values(commands: Iterable[Command]) -> str:
    lines: list[str] = []
    for command in commands:
        for option in _valued(command):
            action = _bash_action(option.value)
            if action:
                cases = _bash_cases(f"{' '.join(command.path)}:{name}" for name in option.names)
                lines.append(f"        {cases}) {action}; return ;;")
    return "\n".join(lines)


def _bash_action(value: Value | None) -> str:
    if value is None:
        return ""
    if value.choices:
        return f'COMPREPLY=($(compgen -W "{" ".join(value.choices)}" -- "$cur"))'
    if value.is_file or value.is_folder:
        kind = "-f" if value.is_file else "-d"
        return f"compopt -o filenames 2>/dev/null; local IFS=$'\\n'; COMPREPLY=($(compgen {kind} -- \"$cur\"))"
    return ""


def _bash_words(commands: Iterable[Command]) -> str:
    lines: list[str] = []
    for command in commands:
        flags = " ".join(name for option in command.options for name in option.names)
        words = " ".join([child.name for child in command.commands] or _argument_choices(command))
        lines.append(f'        "{" ".join(command.path)}") words="{words or flags}"; flags="{flags}" ;;')
    return "\n".join(lines)


def _argument_choices(command: Command) -> list[str]:
    return [choice for argument in command.arguments for choice in argument.value.choices]


# --- zsh -------------------------------------------------------------------------------------------------------------


def zsh(root: Command) -> str:
    """For zsh, to be sourced after compinit or found on fpath as _kimi-code."""
    functions = "\n\n".join(_zsh_function(command) for command in root.walk())
    return f"""\
#compdef kimi-code
# zsh completion for kimi-code; {_NOTE}

{functions}

if [[ $funcstack[1] == _kimi-code ]]; then
  _kimi_code "$@"
else
  compdef _kimi_code kimi-code
fi
"""


def _zsh_name(command: Command) -> str:
    return "_".join(("_kimi_code", *command.path))


def _zsh_function(command: Command) -> str:
    specs = [_zsh_option(option) for option in command.options]
    if command.commands:
        specs += ["'1: :->command'", "'*:: :->rest'"]
    else:
        specs += [_zsh_argument(argument.value) for argument in command.arguments]
    arguments = " \\\n    ".join(["_arguments -C", *specs])
    name = _zsh_name(command)
    if not command.commands:
        return f"{name}() {{\n  {arguments}\n}}"
    described = "\n".join(f"        '{_zsh_text(f'{child.name}:{child.summary}')}'" for child in command.commands)
    branches = "\n".join(f"        {child.name}) {_zsh_name(child)} ;;" for child in command.commands)
    return f"""\
{name}() {{
  local curcontext=$curcontext state line
  typeset -A opt_args
  {arguments}
  case $state in
    command)
      local -a commands=(
{described}
      )
      _describe -t commands command commands
      ;;
    rest)
      case $line[1] in
{branches}
      esac
      ;;
  esac
}}"""


def _zsh_option(option: Option) -> str:
    text = _zsh_text(option.help).replace("[", "\\[").replace("]", "\\]")
    value = "" if option.value is None else f":{option.value.name}:{_zsh_action(option.value)}"
    star = "*" if option.repeatable else ""
    # "--flag=" takes its value after an equals sign or as the next word, "-f+" with or without a blank
    marks = {2: "+"} if option.value else {}
    names = [name + (marks.get(len(name), "=") if option.value else "") for name in option.names]
    if len(names) == 1:
        return f"'{star}{names[0]}[{text}]{value}'"
    exclusive = "" if option.repeatable else f"'({' '.join(option.names)})'"
    return f"{exclusive}{star}{{{','.join(names)}}}'[{text}]{value}'"


def _zsh_argument(value: Value) -> str:
    return (
        f"'*:{value.name}:{_zsh_action(value)}'"
        if value.name.endswith("...")
        else (f"'1:{value.name}:{_zsh_action(value)}'")
    )


def _zsh_action(value: Value) -> str:
    if value.choices:
        return f"({' '.join(value.choices)})"
    return "_files -/" if value.is_folder else "_files" if value.is_file else " "


def _zsh_text(text: str) -> str:
    return text.replace("'", "'\\''")


# --- fish ------------------------------------------------------------------------------------------------------------


def fish(root: Command) -> str:
    """For fish."""
    commands = list(root.walk())
    lines = [line for command in commands for line in _fish_lines(command)]
    return f"""\
# fish completion for kimi-code; {_NOTE}
function __kimi_code_at --description 'Whether the words so far lead to this command'
    set -l path ''
    set -l pending 0
    for word in (commandline -opc)[2..-1]
        if test $pending = 1
            set pending 0
            continue
        end
        switch "$path:$word"
            case {_fish_cases(_taking_values(commands))}
                set pending 1
            case {_fish_cases(_steps(commands))}
                set path (string trim "$path $word")
        end
    end
    test "$path" = "$argv"
end

complete -c kimi-code -f
{chr(10).join(lines)}
"""


def _fish_cases(words: Iterable[str]) -> str:
    return " ".join(f"'{word}'" for word in words)


def _fish_lines(command: Command) -> Iterable[str]:
    at = f"complete -c kimi-code -n '__kimi_code_at {' '.join(command.path)}'".replace(
        " '__kimi_code_at '", " __kimi_code_at"
    )
    for child in command.commands:
        yield f"{at} -a {child.name} -d '{_fish_text(child.summary)}'"
    for choice in _argument_choices(command):
        yield f"{at} -a {choice}"
    for option in command.options:
        names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
        yield f"{at} {names}{_fish_value(option.value)} -d '{_fish_text(option.help)}'"


def _fish_value(value: Value | None) -> str:
    if value is None:
        return ""
    if value.choices:
        return f" -x -a '{' '.join(value.choices)}'"
    if value.is_folder:
        return " -x -a '(__fish_complete_directories)'"
    return " -r -F" if value.is_file else " -x"


def _fish_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


# --- PowerShell ------------------------------------------------------------------------------------------------------


def powershell(root: Command) -> str:
    """For PowerShell 5 and newer."""
    commands = list(root.walk())
    rows = "\n".join(line for command in commands for line in _powershell_rows(command))
    return f"""\
# PowerShell completion for kimi-code; {_NOTE}
Register-ArgumentCompleter -Native -CommandName kimi-code -ScriptBlock {{
    param($wordToComplete, $commandAst, $cursorPosition)
    # by command path: the words it goes on with, and per flag the values it takes ($null: none, @(): any)
    $words = @{{}}
    $flags = @{{}}
{rows}
    $path = ''
    $pending = $null
    foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {{
        if ($element.Extent.EndOffset -ge $cursorPosition) {{ break }}
        $word = $element.Extent.Text
        if ($null -ne $pending) {{ $pending = $null; continue }}
        if ($flags[$path].ContainsKey($word)) {{
            if ($null -ne $flags[$path][$word]) {{ $pending = $word }}
        }} elseif ($words[$path] -contains $word) {{
            $next = "$path $word".Trim()
            if ($words.ContainsKey($next)) {{ $path = $next }}
        }}
    }}
    $found = if ($null -ne $pending) {{ $flags[$path][$pending] }}
        elseif ($wordToComplete.StartsWith('-')) {{ $flags[$path].Keys | Sort-Object }}
        else {{ $words[$path] }}
    $found | Where-Object {{ $_ -like "$wordToComplete*" }} | ForEach-Object {{
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }}
}}
"""


def _powershell_rows(command: Command) -> Iterable[str]:
    path = " ".join(command.path)
    words = [child.name for child in command.commands] or _argument_choices(command)
    yield f"    $words['{path}'] = @({_quoted(words)})"
    # a hashtable that knows -c from -C
    yield f"    $flags['{path}'] = New-Object System.Collections.Hashtable"
    for option in command.options:
        value = "$null" if option.value is None else f"@({_quoted(option.value.choices)})"
        for name in option.names:
            yield f"    $flags['{path}']['{name}'] = {value}"


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


SCRIPTS: Mapping[str, tuple[str, Callable[[Command], str]]] = {
    "bash": ("kimi-code.bash", bash),
    "zsh": ("_kimi-code", zsh),
    "fish": ("kimi-code.fish", fish),
    "powershell": ("kimi-code.ps1", powershell),
}
