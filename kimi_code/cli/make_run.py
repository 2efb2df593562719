"""What `make run` runs: the command line with its arguments; without any, the demo, live if there is a key."""

import os
import sys
from collections.abc import Mapping, Sequence


def arguments(given: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """The command line to run."""
    if given:
        return list(given)
    has_key = any(env.get(name, "").strip() for name in ("KIMI_API_KEY", "MOONSHOT_API_KEY"))
    return ["demo", "--live"] if has_key else ["demo"]


if __name__ == "__main__":
    from kimi_code.__main__ import main

    sys.argv[1:] = arguments(sys.argv[1:], os.environ)
    sys.exit(main())
