"""What a turn may spend: steps, tokens, money, time. Checked before each request; zero means none at all."""

from dataclasses import dataclass, field

from kimi_code.errors import BudgetExceeded
from kimi_code.llm.model import Price
from kimi_code.messages import Usage
from kimi_code.values import frozen


@frozen
class Limits:
    """None means no limit. `tokens` counts input and output, `cost` is in US dollars, `seconds` is wall time."""

    steps: int | None = None
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None


@dataclass(slots=True)
class Budget:
    """What a turn has spent so far against its limits. `price` None means that the cost cannot be known."""

    limits: Limits
    price: Price | None = None
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
            raise _exceeded("steps", f"{self.steps} of {limits.steps} steps are used", "--max-steps")
        self.check_spending()

    def check_spending(self) -> None:
        """As `check`, but for the steps, which sub-agents have of their own."""
        limits, total = self.limits, self.total.total
        if limits.tokens is not None and total >= limits.tokens:
            raise _exceeded("tokens", f"{total:,} of {limits.tokens:,} tokens are used", "--max-tokens")
        if limits.cost is not None:
            if self.cost is None:
                raise BudgetExceeded(
                    "--max-cost cannot be kept: the price of this model is not known.",
                    budget="cost",
                    hint="Set price for the model in the configuration, or limit --max-tokens instead.",
                )
            if self.cost >= limits.cost:
                raise _exceeded("cost", f"${self.cost:.4f} of ${limits.cost:.4f} is spent", "--max-cost")


def _exceeded(budget: str, spent: str, flag: str) -> BudgetExceeded:
    return BudgetExceeded(
        f"The budget is used up: {spent}.", budget=budget, hint=f"Raise {flag} and continue with -c; nothing is lost."
    )
