# Usage: zsh -f completions_capture.zsh "command line". zsh completes only on a terminal: zpty is one.
zmodload zsh/zpty || exit 1
zpty shell zsh -f -i
zpty -w shell "source ${0:A:h}/completions_inside.zsh"
while zpty -r shell line; do
  [[ $line == ok* ]] && break
done
zpty -w -n shell "$1"$'\t'
integer inside=0
while zpty -r shell; do :; done | while IFS= read -r line; do
  if [[ $line == *$'\0'* ]]; then
    (( inside++ )) && exit 0
    continue
  fi
  (( inside )) && print -r -- ${line%$'\r'}
done
