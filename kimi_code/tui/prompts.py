"""Prompts that commands send in the user's name; the transcript shows them as such."""

WRITE_AGENTS = """\
Write AGENTS.md at the root of this repository: what a coding agent who has never seen it must know to work in it \
well. It is read at the start of every session, so every line must earn its place.

First look: the map and the README, the manifests and lock files, CI and task definitions (they say which commands \
really build, test and lint), the layout of the source, a few typical modules and tests, other instruction files \
(CLAUDE.md, CONTRIBUTING.md, .cursor/rules, .github/copilot-instructions.md). Run a command before you claim that it \
works, where that is cheap and harmless.

Then write, in 20 to 60 lines, only what is true here and cannot be guessed:
- what this is, in two sentences, and where the important parts are (path: what it owns);
- the commands: set up, build, run, all tests, ONE test, lint and format, type check;
- the rules that the code follows and a newcomer would break: architecture, names, errors, tests, generated files;
- traps: what is slow, what must not be edited, what looks wrong and is right.
No advice that holds everywhere, no list of every file, nothing you did not see, no secrets.\
"""

UPDATE_AGENTS = """\
AGENTS.md exists here already. Read it, then check it against the repository as it is now: are its commands still \
right (run those that are cheap and harmless), do the paths it names exist, what has come since that a newcomer must \
know, what is said twice or could be guessed?

Then edit AGENTS.md with the smallest changes that make it true and complete. Keep its structure, its tone and its \
owner's rules; remove only what is wrong, and say at the end in a few lines what you changed and why. If nothing needs \
a change, change nothing and say so.\
"""
