# bash completion for kimi-code; made by `python -m kimi_code.cli.reference`, not to be edited
_kimi_code() {
    local cur=${COMP_WORDS[COMP_CWORD]} path="" pending="" words="" flags="" word i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        # bash takes --flag=value for three words
        if [[ $word == "=" ]]; then continue; fi
        if [[ -n $pending ]]; then pending=""; continue; fi
        case "$path:$word" in
            ":-p" | ":--prompt" | ":--output-format" | ":--output-schema" | ":--image" | ":--verify" | ":-C" | ":--directory" | ":--add-dir" | ":-m" | ":--model" | ":--thinking" | ":-r" | ":--resume" | ":--permission-mode" | ":--allow" | ":--deny" | ":--review" | ":--patch-out" | ":--branch" | ":--max-steps" | ":--max-tokens" | ":--max-cost" | ":--max-session-tokens" | ":--max-session-cost" | ":--timeout" | ":--max-agents" | ":--rollout" | "swarm run:--plan" | "swarm run:--max-agents" | "swarm run:--branch" | "swarm run:--rollout" | "swarm run:--output-format" | "swarm resume:--max-agents" | "swarm resume:--branch" | "swarm resume:--rollout" | "swarm resume:--output-format" | "swarm report:--svg" | "swarm report:--html" | "swarm report:--rollout" | "undo:--paths" | "undo:-r" | "undo:--resume" | "undo:-C" | "undo:--directory" | "redo:-r" | "redo:--resume" | "redo:-C" | "redo:--directory" | "map:--tokens" | "map:--focus" | "symbols:--kind" | "sessions export:--format" | "sessions export:-o" | "sessions export:--output" | "permissions test:--allow" | "permissions test:--ask" | "permissions test:--deny" | "permissions test:--permission-mode") pending=$word ;;
            ":demo" | ":swarm" | "swarm:run" | "swarm:resume" | "swarm:status" | "swarm:cancel" | "swarm:report" | ":undo" | ":redo" | ":checkpoints" | "checkpoints:list" | "checkpoints:show" | "checkpoints:diff" | "checkpoints:restore" | "checkpoints:prune" | ":map" | ":symbols" | ":login" | ":logout" | ":doctor" | ":models" | ":sessions" | "sessions:list" | "sessions:show" | "sessions:export" | "sessions:fork" | "sessions:delete" | ":config" | "config:show" | "config:path" | "config:schema" | ":trust" | ":permissions" | "permissions:allow" | "permissions:test" | ":schema" | "schema:events" | ":completions" | "completions:show" | "completions:install") path=${path:+$path }$word ;;
        esac
    done
    if [[ $cur == "=" ]]; then cur=""; fi
    case "$path:$pending" in
        ":--output-format") COMPREPLY=($(compgen -W "text json jsonl stream-json" -- "$cur")); return ;;
        ":--output-schema") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        ":--image") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        ":-C" | ":--directory") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        ":--add-dir") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        ":--thinking") COMPREPLY=($(compgen -W "off on low high max" -- "$cur")); return ;;
        ":--permission-mode") COMPREPLY=($(compgen -W "ask edits auto plan" -- "$cur")); return ;;
        ":--review") COMPREPLY=($(compgen -W "each turn none" -- "$cur")); return ;;
        ":--patch-out") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        ":--rollout") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "swarm run:--plan") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "swarm run:--rollout") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "swarm run:--output-format") COMPREPLY=($(compgen -W "text json jsonl" -- "$cur")); return ;;
        "swarm resume:--rollout") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "swarm resume:--output-format") COMPREPLY=($(compgen -W "text json jsonl" -- "$cur")); return ;;
        "swarm report:--svg") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "swarm report:--html") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "swarm report:--rollout") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "undo:-C" | "undo:--directory") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        "redo:-C" | "redo:--directory") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        "symbols:--kind") COMPREPLY=($(compgen -W "class interface struct enum trait type module function method macro constant variable property heading block" -- "$cur")); return ;;
        "sessions export:--format") COMPREPLY=($(compgen -W "markdown jsonl" -- "$cur")); return ;;
        "sessions export:-o" | "sessions export:--output") compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "permissions test:--permission-mode") COMPREPLY=($(compgen -W "ask edits auto plan yolo" -- "$cur")); return ;;
        *:?*) return ;;
    esac
    case "$path" in
        "") words="demo swarm undo redo checkpoints map symbols login logout doctor models sessions config trust permissions schema completions"; flags="-p --prompt --output-format --output-schema --image --verify -C --directory --add-dir -m --model --thinking -c --continue -r --resume --no-session --permission-mode -y --yolo --net --allow --deny --review --apply --patch-out --commit --branch --trust --max-steps --max-tokens --max-cost --max-session-tokens --max-session-cost --timeout --max-agents --plan-first --rollout -V --version -h --help" ;;
        "demo") words="--live --fast --plain -h --help"; flags="--live --fast --plain -h --help" ;;
        "swarm") words="run resume status cancel report"; flags="-h --help" ;;
        "swarm run") words="--plan -y --yolo --apply --max-agents --plan-first --commit --branch --rollout --output-format -h --help"; flags="--plan -y --yolo --apply --max-agents --plan-first --commit --branch --rollout --output-format -h --help" ;;
        "swarm resume") words="-y --yolo --apply --max-agents --commit --branch --rollout --output-format -h --help"; flags="-y --yolo --apply --max-agents --commit --branch --rollout --output-format -h --help" ;;
        "swarm status") words="--all --json -h --help"; flags="--all --json -h --help" ;;
        "swarm cancel") words="-h --help"; flags="-h --help" ;;
        "swarm report") words="--json --svg --html --rollout -h --help"; flags="--json --svg --html --rollout -h --help" ;;
        "undo") words="--paths --code --conversation --both -r --resume -C --directory --force --merge --dry-run --json -h --help"; flags="--paths --code --conversation --both -r --resume -C --directory --force --merge --dry-run --json -h --help" ;;
        "redo") words="-r --resume -C --directory --force --merge --dry-run --json -h --help"; flags="-r --resume -C --directory --force --merge --dry-run --json -h --help" ;;
        "checkpoints") words="list show diff restore prune"; flags="-h --help" ;;
        "checkpoints list") words="--json -h --help"; flags="--json -h --help" ;;
        "checkpoints show") words="--json -h --help"; flags="--json -h --help" ;;
        "checkpoints diff") words="--json -h --help"; flags="--json -h --help" ;;
        "checkpoints restore") words="--force --merge --dry-run --json -h --help"; flags="--force --merge --dry-run --json -h --help" ;;
        "checkpoints prune") words="--all --json -h --help"; flags="--all --json -h --help" ;;
        "map") words="--tokens --focus --no-wait --json -h --help"; flags="--tokens --focus --no-wait --json -h --help" ;;
        "symbols") words="--kind --json -h --help"; flags="--kind --json -h --help" ;;
        "login") words="--list --no-check --json -h --help"; flags="--list --no-check --json -h --help" ;;
        "logout") words="-h --help"; flags="-h --help" ;;
        "doctor") words="--json -h --help"; flags="--json -h --help" ;;
        "models") words="--json -h --help"; flags="--json -h --help" ;;
        "sessions") words="list show export fork delete"; flags="-h --help" ;;
        "sessions list") words="--all --json -h --help"; flags="--all --json -h --help" ;;
        "sessions show") words="-h --help"; flags="-h --help" ;;
        "sessions export") words="--format -o --output -h --help"; flags="--format -o --output -h --help" ;;
        "sessions fork") words="-h --help"; flags="-h --help" ;;
        "sessions delete") words="-y --yes -h --help"; flags="-y --yes -h --help" ;;
        "config") words="show path schema"; flags="-h --help" ;;
        "config show") words="--json -h --help"; flags="--json -h --help" ;;
        "config path") words="--json -h --help"; flags="--json -h --help" ;;
        "config schema") words="-h --help"; flags="-h --help" ;;
        "trust") words="--list --revoke -y --yes --json -h --help"; flags="--list --revoke -y --yes --json -h --help" ;;
        "permissions") words="allow test"; flags="-h --help" ;;
        "permissions allow") words="-h --help"; flags="-h --help" ;;
        "permissions test") words="--allow --ask --deny --permission-mode -y --yolo --batch --json -h --help"; flags="--allow --ask --deny --permission-mode -y --yolo --batch --json -h --help" ;;
        "schema") words="events"; flags="-h --help" ;;
        "schema events") words="-h --help"; flags="-h --help" ;;
        "completions") words="show install"; flags="-h --help" ;;
        "completions show") words="bash zsh fish powershell"; flags="-h --help" ;;
        "completions install") words="bash zsh fish powershell"; flags="-h --help" ;;
    esac
    if [[ $cur == -* ]]; then words=$flags; fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _kimi_code kimi-code
