"""`kimi-code -p`: flags in, one turn, an exit code out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunFlags:
    """The root command's flags as given; None where a flag was not given."""

    prompt: str | None = None
    output_format: str = "text"
    model: str | None = None
    thinking: str | None = None
    continue_last: bool = False
    resume: str | None = None
    directory: str | None = None
    add_dirs: tuple[str, ...] = ()
    permission_mode: str | None = None
    yolo: bool = False
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    max_steps: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    timeout: float | None = None
    verify: str | None = None
    output_schema: str | None = None
    no_session: bool = False
    trust: bool = False
