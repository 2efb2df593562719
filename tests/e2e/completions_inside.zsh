# Run in an interactive zsh: prints what completion would offer, between two lines that end in a null byte.
PROMPT=
autoload -Uz compinit
compinit -u -C -d "$ZDOTDIR/dump" # made by the first, read by the others
source "$KIMI_COMPLETIONS"
bindkey '^M' undefined-key
bindkey '^J' undefined-key
bindkey '^I' complete-word
null-line () { print -r -- $'\0' }
compprefuncs=(null-line)
comppostfuncs=(null-line exit)
zstyle ':completion:*' insert-tab false
compadd () {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
    builtin compadd "$@"
    return $?
  fi
  local -a hits
  builtin compadd -A hits "$@"
  (( $#hits )) && print -rl -- $hits
}
print ok
