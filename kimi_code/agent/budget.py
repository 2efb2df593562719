"""What a turn and its session may spend: steps, tokens, money, time. Checked before each request; zero means none."""

from dataclasses import dataclass, field

from kimi_code.errors import BudgetExceeded
from kimi_code.llm.model import Price
from kimi_code.messages import Usage
from kimi_code.values import frozen


@frozen
class Limits:
    """None means no limit. `tokens` counts input and output, `cost` is in US dollars, `seconds` is wall time.

    Those of a session hold for all its turns together, sub-agents and questions beside them included.
    """

    steps: int | None = None
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None
    session_tokens: int | None = None
    session_cost: float | None = None


@frozen
class Spent:
    """What a session has taken before, in tokens and US dollars (0 where no price was known)."""

    tokens: int = 0
    cost: float = 0.0


@dataclass(slots=True)
class Budget:
    """What a turn has spent so far against its limits. `price` None means that the cost cannot be known.

    `before` is what its session had spent when it began.
    """

    limits: Limits
    price: Price | None = None
    before: Spent = field(default_factory=Spent)
    steps: int = 0
    tool_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    delegated: Usage = field(default_factory=Usage)  # by sub-agents

    @property
    def total(self) -> Usage:
        """What the turn took, its sub-agents included."""
        return self.usage + self.delegated

    @property
    def cost(self) -> float | None:
        """US dollars so far; None when the model's price is not known."""
        return None if self.price is None else round(self.price.cost(self.total), 6)

    def spend(self, usage: Usage) -> None:
        """Add a request's usage."""
        self.usage += usage

    def delegate(self, usage: Usage) -> None:
        """Add what a sub-agent's request took."""
        self.delegated += usage

    def check(self) -> None:
        """Raises BudgetExceeded when the next request is no longer paid for."""
        limits = self.limits
        if limits.steps is not None and self.steps >= limits.steps:
            raise _exceeded("steps", f"{self.steps} of {limits.steps} steps", "--max-steps")
        self.check_spending()

    def check_spending(self) -> None:
        """As `check`, but for the steps, which sub-agents have of their own."""
        limits, total = self.limits, self.total.total
        _check_tokens(total, limits.tokens, "--max-tokens")
        _check_tokens(self.before.tokens + total, limits.session_tokens, "--max-session-tokens")
        self._check_cost(0.0, limits.cost, "--max-cost")
        self._check_cost(self.before.cost, limits.session_cost, "--max-session-cost")

    def _check_cost(self, before: float, limit: float | None, flag: str) -> None:
        if limit is None:
            return
        if self.cost is None:
            raise BudgetExceeded(
                f"{flag} cannot be kept: the price of this model is not known.",
                budget="cost",
                hint="Set price for the model in the configuration, or limit the tokens instead.",
            )
        if before + self.cost >= limit:
            raise _exceeded("cost", f"${before + self.cost:.4f} of ${limit:.4f}", flag)


def _check_tokens(used: int, limit: int | None, flag: str) -> None:
    if limit is not None and used >= limit:
        raise _exceeded("tokens", f"{used:,} of {limit:,} tokens", flag)


def _exceeded(budget: str, spent: str, flag: str) -> BudgetExceeded:
    whose = "session's budget" if "session" in flag else "budget"
    return BudgetExceeded(
        f"The {whose} is used up: {spent}.", budget=budget, hint=f"Raise {flag} and continue with -c; nothing is lost."
    )
