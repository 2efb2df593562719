"""What `make run` runs: the command line with its arguments; without any, the screen, or the demo without a key."""

import os
import sys
from collections.abc import Mapping, Sequence


def arguments(given: Sequence[str], env: Mapping[str, str], *, on_screen: bool = False) -> list[str]:
    """The command line to run; `on_screen` says that there is a terminal for the screen."""
    if given:
        return list(given)
    has_key = any(env.get(name, "").strip() for name in ("KIMI_API_KEY", "MOONSHOT_API_KEY"))
    if not has_key:
        return ["demo"]
    return [] if on_screen else ["demo", "--live"]


if __name__ == "__main__":
    from kimi_code.__main__ import main
    from kimi_code.tui.terminal import unusable

    sys.argv[1:] = arguments(sys.argv[1:], os.environ, on_screen=not unusable(os.environ))
    sys.exit(main())
