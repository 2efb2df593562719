"""The process: its fastest way out, its last resort for errors, its exit code."""

import sys


def main() -> int:
    """Run the command line in sys.argv and return the exit code. Never raises, but for SystemExit."""
    argv = sys.argv[1:]
    if argv in (["--version"], ["-V"]):
        from kimi_code import __version__

        sys.stdout.write(f"kimi-code {__version__}\n")
        return 0
    import gc

    # Thousands of objects are made by imports and stay: the collector would only walk them again and again.
    gc.disable()
    _open_missing_streams()
    try:
        from kimi_code.cli.signals import raise_when_stopped

        raise_when_stopped()
        code = _run(argv)
        # A reader that has gone is noticed here, not while the interpreter ends.
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as stop:
        from kimi_code.cli.crash import report_stop

        return report_stop(getattr(stop, "number", 2), argv)
    except BrokenPipeError:
        return _quiet()
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.strerror and not _can_write():
            sys.stderr.write(f"kimi-code: standard output cannot be written: {error.strerror}.\n")
            _quiet()
            return 1
        from kimi_code.cli.crash import report

        return report(error, argv)


def _run(argv: list[str]) -> int:
    if not argv:
        # The screen without a flag, the most frequent start, does not wait for the parser of flags.
        from kimi_code.cli.tui import show_at_once

        code = show_at_once()
        if code is not None:
            return code
    from kimi_code.cli.app import main as run

    return run(argv)


def _open_missing_streams() -> None:
    """`kimi-code ... >&-`: what is said there is said to nobody, and no file gets the stream's number."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open("/dev/null" if sys.platform != "win32" else "nul", "w", encoding="utf-8"))  # noqa: PTH123, SIM115  (open until the end)


def _can_write() -> bool:
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _quiet() -> int:
    """`kimi-code ... | head`: the reader has all it wanted. What is still buffered goes nowhere, without a word."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141  # 128 + SIGPIPE, as for any program that writes to a closed pipe


if __name__ == "__main__":
    sys.exit(main())
