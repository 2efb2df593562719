"""kimi-code: a terminal coding agent.

A session runs an agent, which asks an llm and uses tools on a repo; headless (and later a TUI, editors) shows it.
Nothing is imported here, so that `kimi-code --version` costs no more than starting Python.
"""

__version__ = "0.1.0"
