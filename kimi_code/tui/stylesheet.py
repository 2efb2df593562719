"""How everything looks, each text of it read once: apps of this process and themes seen before share the rules."""

from typing import Any
from weakref import WeakKeyDictionary

from textual.cache import LRUCache
from textual.css.model import RuleSet, SelectorType
from textual.css.styles import RulesMap
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode


class _Rule(RuleSet):
    """Is looked up in sets by the hundred for each widget that gets its style: Textual's asks Python for its hash."""

    __hash__ = object.__hash__


# Rules are only read once they are made. Sixty texts are a theme's, so these are some themes.
_read: LRUCache[tuple[object, ...], list[RuleSet]] = LRUCache(512)
# The styles of a widget's parts, for all that their rules ask about.
_found: LRUCache[tuple[object, ...], dict[str, RulesMap]] = LRUCache(512)

_SIGNS = {SelectorType.CLASS: ".", SelectorType.ID: "#"}
_About = tuple[tuple[RuleSet, ...], frozenset[str], frozenset[str]]


class SharedStylesheet(Stylesheet):
    """Textual's, which reads all texts twice when a screen starts, and for each theme and app anew.

    It also finds the styles of a widget's parts (a cursor, a selection) anew whenever that of the widget may have
    changed; here, when something that the parts' rules ask about has.
    """

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._known = frozenset((variables or {}).items())
        self._asked: dict[frozenset[str], _About] = {}
        self._answers: WeakKeyDictionary[DOMNode, tuple[object, ...]] = WeakKeyDictionary()

    def parse(self) -> None:
        """Read all texts. What cannot be read leaves the rules as they were."""
        super().parse()
        self._asked.clear()

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

    def _process_component_classes(self, node: DOMNode) -> None:
        parts = node._get_component_classes()  # pyright: ignore[reportPrivateUsage]  (as the method itself)
        if not parts:
            return
        rules, names, states = self._about(parts)
        path = [(names & at._selector_names, *filter(at.has_pseudo_class, states)) for at in node.css_path_nodes]  # pyright: ignore[reportPrivateUsage]  (the same)
        known = node._component_styles  # pyright: ignore[reportPrivateUsage]  (emptied when the node is removed)
        key = (parts, rules, *path)
        if known and self._answers.get(node) == key:
            return
        self._answers[node] = key
        found = _found.get(key)
        if found is None:
            super()._process_component_classes(node)
            _found[key] = {part: styles.base.get_rules() for part, styles in known.items()}
            return
        before = dict(known)
        for part, values in found.items():
            virtual = DOMNode(classes=part)
            virtual._attach(node)  # pyright: ignore[reportPrivateUsage]  (the same)
            self.replace_rules(virtual, values)
            known[part] = virtual.styles
        if before != known:
            node.refresh()

    def _about(self, parts: frozenset[str]) -> _About:
        """The rules for these parts, and all that their selectors name: types, classes and ids; pseudo classes."""
        about = self._asked.get(parts)
        if about is None:
            ends = {"*", *DOMNode._css_type_names, *(f".{part}" for part in parts)}  # pyright: ignore[reportPrivateUsage]  (the same)
            rules = tuple(rule for rule in self.rules if not ends.isdisjoint(rule.selector_names))
            selectors = [one for rule in rules for several in rule.selector_set for one in several.selectors]
            names = frozenset(f"{_SIGNS.get(one.type, '')}{one.name}" for one in selectors)
            states = frozenset(name for one in selectors for name in one.pseudo_classes)
            about = self._asked[parts] = rules, names, states
        return about
