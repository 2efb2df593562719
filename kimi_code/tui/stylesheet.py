"""How everything looks, each text of it read once: apps of this process and themes seen before share the rules."""

from typing import Any

from textual.cache import LRUCache
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet


class _Rule(RuleSet):
    """Is looked up in sets by the hundred for each widget that gets its style: Textual's asks Python for its hash."""

    __hash__ = object.__hash__


# Rules are only read once they are made. Sixty texts are a theme's, so these are some themes.
_read: LRUCache[tuple[object, ...], list[RuleSet]] = LRUCache(512)


class SharedStylesheet(Stylesheet):
    """Textual's, which reads all texts twice when a screen starts, and for each theme and app anew."""

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._known = frozenset((variables or {}).items())

    def set_variables(self, variables: dict[str, str]) -> None:
        """Take another theme's colours."""
        super().set_variables(variables)
        self._known = frozenset(variables.items())

    def reparse(self) -> None:
        """Apply new variables. What cannot be read leaves the rules as they were: parse() sets them at its end."""
        self.parse()

    def _parse_rules(self, css: str, read_from: tuple[str, str], *how: Any, **named: Any) -> list[RuleSet]:
        key = (self._known, css, read_from, how, *named.items())
        rules = _read.get(key)
        if rules is None:
            made = super()._parse_rules(css, read_from, *how, **named)
            rules = _read[key] = [_Rule(**vars(rule)) for rule in made]
        return rules
