"""The exceptions of the whole program, and the exit codes they end in.

KimiError
├── UsageError               flags or arguments that cannot be used (exit 2)
├── ConfigError              configuration that cannot be read or used (exit 2)
├── ModelError               the provider failed; `retryable` says whether asking again may help
│   ├── AuthError            no key, a wrong key, no access (exit 3)
│   ├── RateLimited          429; `retry_after` in seconds when the server said so
│   ├── QuotaExceeded        the account's limit; never retried (exit 4)
│   ├── ContextFull          the request is longer than the model's context
│   ├── ContentFiltered      the provider refuses this content; never retried
│   ├── BadRequest           the server refuses the request's form
│   ├── NotAnApi             the server's answer is no API answer, such as a web page
│   └── ModelUnavailable     unreachable, 5xx, cut off or silent; retried
├── BudgetExceeded           steps, tokens, money or time are used up (exit 4)
├── SwarmError               a swarm cannot be started, run or resumed
│   └── PlanError            a plan that cannot be run; names each task and what is wrong with it
├── CheckpointError          files cannot be kept or brought back; they are as they were
└── ToolError                a failure the model can mend; the text is written for the model
    └── PatchError           an edit that fits nowhere, or in more than one place
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns. 128+n is added for signals."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    AUTH = 3
    BUDGET = 4
    DENIED = 5
    PARTIAL = 6
    UNAVAILABLE = 75
    INTERRUPTED = 130
    TERMINATED = 143


class KimiError(Exception):
    """Base of every error we raise on purpose; `hint` says what the person can do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(KimiError):
    """Flags or arguments that cannot be used together or at all."""


class ConfigError(KimiError):
    """Configuration that cannot be read or used; the message names file and line where known."""


class ModelError(KimiError):
    """The provider did not give an answer."""

    retryable: bool = False

    def __init__(self, message: str, *, hint: str = "", status: int | None = None, trace_id: str = "") -> None:
        super().__init__(f"{message} (trace {trace_id})" if trace_id else message, hint=hint)
        self.status = status
        self.trace_id = trace_id


class AuthError(ModelError):
    """No key, a wrong key, or a key without access."""


class RateLimited(ModelError):
    """429 that passes by itself; `retry_after` is in seconds, None when the server gave none."""

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = 429,
        trace_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, status=status, trace_id=trace_id)
        self.retry_after = retry_after


class QuotaExceeded(ModelError):
    """The account has no balance or its billing cycle is used up."""


class ContextFull(ModelError):
    """The request is longer than the model's context."""


class ContentFiltered(ModelError):
    """The provider refuses this content."""


class BadRequest(ModelError):
    """The server refuses the request's form: a field, a schema, a parameter it does not know."""


class NotAnApi(ModelError):
    """What answered is no OpenAI-compatible API."""


class ModelUnavailable(ModelError):
    """Unreachable, overloaded, cut off in the middle, or silent for too long."""

    retryable = True


class BudgetExceeded(KimiError):
    """A limit the user set, or a default one, was reached; `budget` names it: steps, tokens, cost, time, context."""

    def __init__(self, message: str, *, budget: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.budget = budget


class SwarmError(KimiError):
    """A swarm cannot be started, run or resumed; the text says why."""


class PlanError(SwarmError):
    """A plan that cannot be run; `problems` has a sentence for each fault, the task named."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("The plan cannot be run:\n" + "\n".join(f"- {problem}" for problem in problems))
        self.problems = problems


class CheckpointError(KimiError):
    """A checkpoint could not be taken, compared or restored; nothing is half done."""


class ToolError(KimiError):
    """A tool could not do what was asked; the model reads the text and can mend its call."""


class PatchError(ToolError):
    """An edit's old text is not in the file, or is there more than once."""
