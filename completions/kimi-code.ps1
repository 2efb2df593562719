# PowerShell completion for kimi-code; made by `python -m kimi_code.cli.reference`, not to be edited
Register-ArgumentCompleter -Native -CommandName kimi-code -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # by command path: the words it goes on with, and per flag the values it takes ($null: none, @(): any)
    $words = @{}
    $flags = @{}
    $words[''] = @('demo', 'doctor', 'models', 'sessions', 'config', 'trust', 'permissions', 'schema', 'completions')
    $flags[''] = New-Object System.Collections.Hashtable
    $flags['']['-p'] = @()
    $flags['']['--prompt'] = @()
    $flags['']['--output-format'] = @('text', 'json', 'jsonl', 'stream-json')
    $flags['']['--output-schema'] = @()
    $flags['']['--verify'] = @()
    $flags['']['-C'] = @()
    $flags['']['--directory'] = @()
    $flags['']['--add-dir'] = @()
    $flags['']['-m'] = @()
    $flags['']['--model'] = @()
    $flags['']['--thinking'] = @('off', 'on', 'low', 'high', 'max')
    $flags['']['-c'] = $null
    $flags['']['--continue'] = $null
    $flags['']['-r'] = @()
    $flags['']['--resume'] = @()
    $flags['']['--no-session'] = $null
    $flags['']['--permission-mode'] = @('ask', 'edits', 'auto', 'plan')
    $flags['']['-y'] = $null
    $flags['']['--yolo'] = $null
    $flags['']['--net'] = $null
    $flags['']['--allow'] = @()
    $flags['']['--deny'] = @()
    $flags['']['--trust'] = $null
    $flags['']['--max-steps'] = @()
    $flags['']['--max-tokens'] = @()
    $flags['']['--max-cost'] = @()
    $flags['']['--timeout'] = @()
    $flags['']['-V'] = $null
    $flags['']['--version'] = $null
    $flags['']['-h'] = $null
    $flags['']['--help'] = $null
    $words['demo'] = @()
    $flags['demo'] = New-Object System.Collections.Hashtable
    $flags['demo']['--live'] = $null
    $flags['demo']['--fast'] = $null
    $flags['demo']['-h'] = $null
    $flags['demo']['--help'] = $null
    $words['doctor'] = @()
    $flags['doctor'] = New-Object System.Collections.Hashtable
    $flags['doctor']['--json'] = $null
    $flags['doctor']['-h'] = $null
    $flags['doctor']['--help'] = $null
    $words['models'] = @()
    $flags['models'] = New-Object System.Collections.Hashtable
    $flags['models']['--json'] = $null
    $flags['models']['-h'] = $null
    $flags['models']['--help'] = $null
    $words['sessions'] = @('list', 'show', 'export', 'delete')
    $flags['sessions'] = New-Object System.Collections.Hashtable
    $flags['sessions']['-h'] = $null
    $flags['sessions']['--help'] = $null
    $words['sessions list'] = @()
    $flags['sessions list'] = New-Object System.Collections.Hashtable
    $flags['sessions list']['--all'] = $null
    $flags['sessions list']['--json'] = $null
    $flags['sessions list']['-h'] = $null
    $flags['sessions list']['--help'] = $null
    $words['sessions show'] = @()
    $flags['sessions show'] = New-Object System.Collections.Hashtable
    $flags['sessions show']['-h'] = $null
    $flags['sessions show']['--help'] = $null
    $words['sessions export'] = @()
    $flags['sessions export'] = New-Object System.Collections.Hashtable
    $flags['sessions export']['--format'] = @('markdown', 'jsonl')
    $flags['sessions export']['-o'] = @()
    $flags['sessions export']['--output'] = @()
    $flags['sessions export']['-h'] = $null
    $flags['sessions export']['--help'] = $null
    $words['sessions delete'] = @()
    $flags['sessions delete'] = New-Object System.Collections.Hashtable
    $flags['sessions delete']['-y'] = $null
    $flags['sessions delete']['--yes'] = $null
    $flags['sessions delete']['-h'] = $null
    $flags['sessions delete']['--help'] = $null
    $words['config'] = @('show', 'path', 'schema')
    $flags['config'] = New-Object System.Collections.Hashtable
    $flags['config']['-h'] = $null
    $flags['config']['--help'] = $null
    $words['config show'] = @()
    $flags['config show'] = New-Object System.Collections.Hashtable
    $flags['config show']['--json'] = $null
    $flags['config show']['-h'] = $null
    $flags['config show']['--help'] = $null
    $words['config path'] = @()
    $flags['config path'] = New-Object System.Collections.Hashtable
    $flags['config path']['--json'] = $null
    $flags['config path']['-h'] = $null
    $flags['config path']['--help'] = $null
    $words['config schema'] = @()
    $flags['config schema'] = New-Object System.Collections.Hashtable
    $flags['config schema']['-h'] = $null
    $flags['config schema']['--help'] = $null
    $words['trust'] = @()
    $flags['trust'] = New-Object System.Collections.Hashtable
    $flags['trust']['--list'] = $null
    $flags['trust']['--revoke'] = $null
    $flags['trust']['-y'] = $null
    $flags['trust']['--yes'] = $null
    $flags['trust']['--json'] = $null
    $flags['trust']['-h'] = $null
    $flags['trust']['--help'] = $null
    $words['permissions'] = @('test')
    $flags['permissions'] = New-Object System.Collections.Hashtable
    $flags['permissions']['-h'] = $null
    $flags['permissions']['--help'] = $null
    $words['permissions test'] = @()
    $flags['permissions test'] = New-Object System.Collections.Hashtable
    $flags['permissions test']['--allow'] = @()
    $flags['permissions test']['--ask'] = @()
    $flags['permissions test']['--deny'] = @()
    $flags['permissions test']['--permission-mode'] = @('ask', 'edits', 'auto', 'plan', 'yolo')
    $flags['permissions test']['-y'] = $null
    $flags['permissions test']['--yolo'] = $null
    $flags['permissions test']['--batch'] = $null
    $flags['permissions test']['--json'] = $null
    $flags['permissions test']['-h'] = $null
    $flags['permissions test']['--help'] = $null
    $words['schema'] = @('events')
    $flags['schema'] = New-Object System.Collections.Hashtable
    $flags['schema']['-h'] = $null
    $flags['schema']['--help'] = $null
    $words['schema events'] = @()
    $flags['schema events'] = New-Object System.Collections.Hashtable
    $flags['schema events']['-h'] = $null
    $flags['schema events']['--help'] = $null
    $words['completions'] = @('show', 'install')
    $flags['completions'] = New-Object System.Collections.Hashtable
    $flags['completions']['-h'] = $null
    $flags['completions']['--help'] = $null
    $words['completions show'] = @('bash', 'zsh', 'fish', 'powershell')
    $flags['completions show'] = New-Object System.Collections.Hashtable
    $flags['completions show']['-h'] = $null
    $flags['completions show']['--help'] = $null
    $words['completions install'] = @('bash', 'zsh', 'fish', 'powershell')
    $flags['completions install'] = New-Object System.Collections.Hashtable
    $flags['completions install']['-h'] = $null
    $flags['completions install']['--help'] = $null
    $path = ''
    $pending = $null
    foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {
        if ($element.Extent.EndOffset -ge $cursorPosition) { break }
        $word = $element.Extent.Text
        if ($null -ne $pending) { $pending = $null; continue }
        if ($flags[$path].ContainsKey($word)) {
            if ($null -ne $flags[$path][$word]) { $pending = $word }
        } elseif ($words[$path] -contains $word) {
            $next = "$path $word".Trim()
            if ($words.ContainsKey($next)) { $path = $next }
        }
    }
    $found = if ($null -ne $pending) { $flags[$path][$pending] }
        elseif ($wordToComplete.StartsWith('-')) { $flags[$path].Keys | Sort-Object }
        else { $words[$path] }
    $found | Where-Object { $_ -like "$wordToComplete*" } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }
}
