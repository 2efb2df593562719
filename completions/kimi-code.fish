# fish completion for kimi-code; made by `python -m kimi_code.cli.reference`, not to be edited
function __kimi_code_at --description 'Whether the words so far lead to this command'
    set -l path ''
    set -l pending 0
    for word in (commandline -opc)[2..-1]
        if test $pending = 1
            set pending 0
            continue
        end
        switch "$path:$word"
            case ':-p' ':--prompt' ':--output-format' ':--output-schema' ':--verify' ':-C' ':--directory' ':--add-dir' ':-m' ':--model' ':--thinking' ':-r' ':--resume' ':--permission-mode' ':--allow' ':--deny' ':--max-steps' ':--max-tokens' ':--max-cost' ':--timeout' 'sessions export:--format' 'sessions export:-o' 'sessions export:--output' 'permissions test:--allow' 'permissions test:--ask' 'permissions test:--deny' 'permissions test:--permission-mode'
                set pending 1
            case ':demo' ':doctor' ':models' ':sessions' 'sessions:list' 'sessions:show' 'sessions:export' 'sessions:delete' ':config' 'config:show' 'config:path' 'config:schema' ':trust' ':permissions' 'permissions:allow' 'permissions:test' ':schema' 'schema:events' ':completions' 'completions:show' 'completions:install'
                set path (string trim "$path $word")
        end
    end
    test "$path" = "$argv"
end

complete -c kimi-code -f
complete -c kimi-code -n __kimi_code_at -a demo -d 'Watch the agent fix a bug; needs no key'
complete -c kimi-code -n __kimi_code_at -a doctor -d 'Check what a run needs'
complete -c kimi-code -n __kimi_code_at -a models -d 'List the models the server offers'
complete -c kimi-code -n __kimi_code_at -a sessions -d 'List, show, export and delete sessions'
complete -c kimi-code -n __kimi_code_at -a config -d 'Show settings, where they come from, their files'
complete -c kimi-code -n __kimi_code_at -a trust -d 'Use a project\'s own settings, after showing them'
complete -c kimi-code -n __kimi_code_at -a permissions -d 'What may run, and why'
complete -c kimi-code -n __kimi_code_at -a schema -d 'JSON Schemas of what kimi-code writes'
complete -c kimi-code -n __kimi_code_at -a completions -d 'Completion scripts for bash, zsh, fish and PowerShell'
complete -c kimi-code -n __kimi_code_at -s p -l prompt -x -d 'Do this, print the answer, exit. `-` reads standard input; with TEXT, a pipe is attached below it.'
complete -c kimi-code -n __kimi_code_at -l output-format -x -a 'text json jsonl stream-json' -d 'text: the answer. json: one result object. jsonl (or stream-json): every event, the result last.'
complete -c kimi-code -n __kimi_code_at -l output-schema -r -F -d 'A JSON Schema the answer must satisfy.'
complete -c kimi-code -n __kimi_code_at -l verify -x -d 'Run this at the end; a failure goes back to the model, three runs at most.'
complete -c kimi-code -n __kimi_code_at -s C -l directory -x -a '(__fish_complete_directories)' -d 'Work in this folder.'
complete -c kimi-code -n __kimi_code_at -l add-dir -x -a '(__fish_complete_directories)' -d 'Work in this folder too; repeatable.'
complete -c kimi-code -n __kimi_code_at -s m -l model -x -d 'A configured name, PROVIDER/ID, an id at the default provider, or scripted:FILE.'
complete -c kimi-code -n __kimi_code_at -l thinking -x -a 'off on low high max' -d 'off, on, low, high or max.'
complete -c kimi-code -n __kimi_code_at -s c -l continue -d 'Go on with this folder\'s newest session.'
complete -c kimi-code -n __kimi_code_at -s r -l resume -x -d 'Go on with this session; the beginning of its id will do.'
complete -c kimi-code -n __kimi_code_at -l no-session -d 'Keep no record of this run.'
complete -c kimi-code -n __kimi_code_at -l permission-mode -x -a 'ask edits auto plan' -d 'What runs without asking. plan, ask: reads; edits: edits in the folder; auto: confined commands too.'
complete -c kimi-code -n __kimi_code_at -s y -l yolo -d 'Allow everything that no deny rule forbids.'
complete -c kimi-code -n __kimi_code_at -l net -d 'Let confined commands reach the network.'
complete -c kimi-code -n __kimi_code_at -l allow -x -d 'Allow this, such as "Bash(make test)"; repeatable.'
complete -c kimi-code -n __kimi_code_at -l deny -x -d 'Never allow this; wins over all else; repeatable.'
complete -c kimi-code -n __kimi_code_at -l trust -d 'Use the project\'s .kimi-code/config.toml in this run.'
complete -c kimi-code -n __kimi_code_at -l max-steps -x -d 'At most N requests to the model.'
complete -c kimi-code -n __kimi_code_at -l max-tokens -x -d 'At most N tokens, input and output.'
complete -c kimi-code -n __kimi_code_at -l max-cost -x -d 'At most this much money.'
complete -c kimi-code -n __kimi_code_at -l timeout -x -d 'At most this long.'
complete -c kimi-code -n __kimi_code_at -s V -l version -d 'Show the version and exit.'
complete -c kimi-code -n __kimi_code_at -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at demo' -l live -d 'Let a real model do it, with your key.'
complete -c kimi-code -n '__kimi_code_at demo' -l fast -d 'Without the pauses that make it readable.'
complete -c kimi-code -n '__kimi_code_at demo' -l plain -d 'As lines, not in the screen.'
complete -c kimi-code -n '__kimi_code_at demo' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at doctor' -l json -d 'As JSON.'
complete -c kimi-code -n '__kimi_code_at doctor' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at models' -l json -d 'As JSON.'
complete -c kimi-code -n '__kimi_code_at models' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at sessions' -a list -d 'The sessions of this folder, newest first'
complete -c kimi-code -n '__kimi_code_at sessions' -a show -d 'The session\'s conversation, readable'
complete -c kimi-code -n '__kimi_code_at sessions' -a export -d 'The session as Markdown or as JSON lines, without secrets'
complete -c kimi-code -n '__kimi_code_at sessions' -a delete -d 'Delete sessions for good'
complete -c kimi-code -n '__kimi_code_at sessions' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at sessions list' -l all -d 'Of all folders, not of this one only.'
complete -c kimi-code -n '__kimi_code_at sessions list' -l json -d 'As JSON.'
complete -c kimi-code -n '__kimi_code_at sessions list' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at sessions show' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at sessions export' -l format -x -a 'markdown jsonl' -d 'markdown or jsonl.'
complete -c kimi-code -n '__kimi_code_at sessions export' -s o -l output -r -F -d 'Write here instead of standard output.'
complete -c kimi-code -n '__kimi_code_at sessions export' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at sessions delete' -s y -l yes -d 'Do not ask.'
complete -c kimi-code -n '__kimi_code_at sessions delete' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at config' -a show -d 'Every setting, its value, and where it comes from. Keys are masked'
complete -c kimi-code -n '__kimi_code_at config' -a path -d 'Where the configuration files and the data are; they need not exist'
complete -c kimi-code -n '__kimi_code_at config' -a schema -d 'The JSON Schema of config.toml, for editors'
complete -c kimi-code -n '__kimi_code_at config' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at config show' -l json -d 'As JSON.'
complete -c kimi-code -n '__kimi_code_at config show' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at config path' -l json -d 'As JSON.'
complete -c kimi-code -n '__kimi_code_at config path' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at config schema' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at trust' -l list -d 'What is trusted.'
complete -c kimi-code -n '__kimi_code_at trust' -l revoke -d 'Trust it no longer.'
complete -c kimi-code -n '__kimi_code_at trust' -s y -l yes -d 'Do not ask.'
complete -c kimi-code -n '__kimi_code_at trust' -l json -d 'With --list: as JSON.'
complete -c kimi-code -n '__kimi_code_at trust' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at permissions' -a allow -d 'Allow this from now on, in every project: adds the rules to your config.toml'
complete -c kimi-code -n '__kimi_code_at permissions' -a test -d 'Say what would be decided on a command, without running it'
complete -c kimi-code -n '__kimi_code_at permissions' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at permissions allow' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at permissions test' -l allow -x -d 'With this allow rule, such as "Bash(git log *)".'
complete -c kimi-code -n '__kimi_code_at permissions test' -l ask -x -d 'With this ask rule; repeatable.'
complete -c kimi-code -n '__kimi_code_at permissions test' -l deny -x -d 'With this deny rule; repeatable.'
complete -c kimi-code -n '__kimi_code_at permissions test' -l permission-mode -x -a 'ask edits auto plan yolo' -d 'The mode to decide in: ask, edits, auto, plan or yolo.'
complete -c kimi-code -n '__kimi_code_at permissions test' -s y -l yolo -d 'The same as --permission-mode yolo.'
complete -c kimi-code -n '__kimi_code_at permissions test' -l batch -d 'Decide on every line of standard input: {command, allow, ask, deny, mode} as JSON.'
complete -c kimi-code -n '__kimi_code_at permissions test' -l json -d 'As JSON.'
complete -c kimi-code -n '__kimi_code_at permissions test' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at schema' -a events -d 'A line of a session\'s journal and of --output-format jsonl'
complete -c kimi-code -n '__kimi_code_at schema' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at schema events' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at completions' -a show -d 'Print the script'
complete -c kimi-code -n '__kimi_code_at completions' -a install -d 'Write the script where the shell finds it; edits no other file'
complete -c kimi-code -n '__kimi_code_at completions' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at completions show' -a bash
complete -c kimi-code -n '__kimi_code_at completions show' -a zsh
complete -c kimi-code -n '__kimi_code_at completions show' -a fish
complete -c kimi-code -n '__kimi_code_at completions show' -a powershell
complete -c kimi-code -n '__kimi_code_at completions show' -s h -l help -d 'Show this message and exit.'
complete -c kimi-code -n '__kimi_code_at completions install' -a bash
complete -c kimi-code -n '__kimi_code_at completions install' -a zsh
complete -c kimi-code -n '__kimi_code_at completions install' -a fish
complete -c kimi-code -n '__kimi_code_at completions install' -a powershell
complete -c kimi-code -n '__kimi_code_at completions install' -s h -l help -d 'Show this message and exit.'
