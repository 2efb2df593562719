"""A command line -> the simple commands and redirections in it. The only importer of tree_sitter.

Nothing is skipped: what stands in substitutions, loops, branches and subshells is found too. What the grammar reads
otherwise than a shell would is caught by checking that words and operators make up the whole line; then, and for
whatever lets a line do more than its words say, `unknown` says why.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from kimi_code.permissions.spans import HEREDOC, KEYWORD, OPERATOR, Spans
from kimi_code.permissions.statements import Line, Redirect, Simple
from kimi_code.permissions.words import UNKNOWN, NotAWordError, Word, read_word

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

LONGEST = 64_000  # bytes of a command line that are looked at
_DEEPEST = 60  # levels of the tree
_MOST_ITEMS = 1_000

_WORDS = {
    "word", "number", "string", "raw_string", "ansi_c_string", "concatenation", "simple_expansion", "expansion",
    "command_substitution", "command_name", "variable_name", "variable_assignment", "regex", "extglob_pattern",
    "brace_expression", "translated_string", "arithmetic_expansion", "test_operator", "special_variable_name",
}  # fmt: skip
_STATEMENTS = {
    "program", "list", "pipeline", "redirected_statement", "command", "subshell", "compound_statement", "if_statement",
    "elif_clause", "else_clause", "for_statement", "while_statement", "do_group", "case_statement", "case_item",
    "negated_command", "declaration_command", "unset_command", "variable_assignments", "file_redirect",
    "herestring_redirect", "heredoc_redirect", "test_command",
}  # fmt: skip
_TOKENS = {
    ";", ";;", "&", "&&", "||", "|", "|&", "(", ")", "{", "}", "\n", "!", "<", ">", ">>", "&>", "&>>", "<&", ">&", ">|",
    "<>", "<<", "<<-", "<<<", ">&-", "<&-", "if", "then", "elif", "else", "fi", "for", "in", "do", "done", "while",
    "until", "case", "esac", "select", "export", "declare", "typeset", "readonly", "local", "unset", "unsetenv",
}  # fmt: skip
_RESERVED = {
    "{", "}", "!", "if", "then", "elif", "else", "fi", "for", "in", "do", "done", "while", "until", "case", "esac",
    "select", "function", "[[", "]]", "coproc",
}  # fmt: skip
_IS_KEYWORD = re.compile(r"[a-z]")
_NESTING = {"subshell", "pipeline", "if_statement", "for_statement", "while_statement", "case_statement",
            "compound_statement", "negated_command", "command_substitution", "process_substitution"}  # fmt: skip
_SIMPLE_PARAMETER = re.compile(r"""\$\{#?(?:[A-Za-z_]\w*|[0-9@*#?])(?:(?::?[-+=?]|##?|%%?|//?)[^{}'"`$\\\[\]]*)?\}""")
_TEST = re.compile(r"""(\[\[?) ((?:[\w ./"'$!=:@%+,*-])*) (\]\]?)""")
_EVALUATES = re.compile(r"(?:^| )-(?:v|eq|ne|lt|le|gt|ge)(?: |$)")
_ARITHMETIC = re.compile(r"\$\(\([\d\s+*/%()<>=-]*\)\)")
# Not the value of anything: bash 5.2 reads these as separators in some locales, the grammar in others.
_ODD = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff\ud800-\udfff]"
)


def parse(command: str) -> Line:
    """Take a command line apart; never raises."""
    odd = _ODD.search(command)
    if odd:
        return Line((), f"it contains the character U+{ord(odd[0]):04X}", broken=True)
    source = command.encode()
    if len(source) > LONGEST:
        return Line((), f"it is longer than {LONGEST} bytes", broken=True)
    return _parse(source)


@lru_cache(maxsize=128)
def _parse(source: bytes) -> Line:
    tree = _parser().parse(source)
    walk = _Walk(source.decode("latin-1"))
    try:
        if tree.root_node.has_error:
            walk.doubt("it is not understood in full", broken=True)
        walk.visit(tree.root_node, 0, nested=False)
        walk.spans.check(0, len(source))
    except NotAWordError:
        walk.doubt("it is not understood in full", broken=True)
    except RecursionError:
        walk.doubt("it is too long or nested too deeply", broken=True)
    return Line(tuple(walk.items), walk.unknown, walk.broken)


@lru_cache(maxsize=1)
def _parser() -> "Parser":
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


@dataclass(slots=True)
class _Command:
    """The parts of a simple command while they are collected."""

    words: list[Word] = field(default_factory=list[Word])
    assignments: list[Word] = field(default_factory=list[Word])


class _Walk:
    def __init__(self, source: str) -> None:
        self.source = source
        self.items: list[Simple | Redirect] = []
        self.unknown = ""
        self.broken = False
        self.spans = Spans(source)
        self.owner = 0  # the command whose words are read, by number
        self.heredocs = 0

    def doubt(self, reason: str, *, broken: bool = False) -> None:
        self.unknown = self.unknown or reason
        self.broken = self.broken or broken

    def text(self, node: "Node") -> str:
        return self.source[node.start_byte : node.end_byte]

    def _shown(self, node: "Node") -> str:
        return self.text(node).encode("latin-1").decode("utf-8", "replace")

    def _cover(self, node: "Node", owner: int) -> None:
        self.spans.add(node.start_byte, node.end_byte, owner)

    def visit(self, node: "Node", depth: int, *, nested: bool) -> None:
        """Collect what a statement does, in the order in which it does it."""
        if depth > _DEEPEST:
            raise RecursionError
        kind = node.type
        nested = nested or kind in _NESTING
        match kind:
            case "command" | "declaration_command" | "unset_command":
                self._command(node, depth, nested)
            case "variable_assignment" | "variable_assignments":
                self._assignments(node, depth, nested)
            case "redirected_statement":
                self._redirected(node, depth, nested)
            case "file_redirect" | "herestring_redirect" | "heredoc_redirect":
                self._redirect(node, depth, None, nested)
            case "test_command":
                self._test(node, depth, nested)
            case "comment":
                self._comment(node)
            case "heredoc_body" | "heredoc_end" | "heredoc_start":
                pass
            case _ if not node.is_named:
                self._token(node)
            case _ if kind in _WORDS:
                self.owner += 1
                self._word(node, depth, self.owner)
                if kind in ("variable_name", "word") and node.parent and node.parent.type == "for_statement":
                    self._loop_variable(node)
            case _:
                if kind not in _STATEMENTS:
                    self.doubt(f"it contains a {kind.replace('_', ' ')}")
                if node.is_error or node.is_missing:
                    self.doubt("it is not understood in full", broken=True)
                background = any(child.type == "&" for child in node.children)
                for child in node.children:
                    self.visit(child, depth + 1, nested=nested or background)

    def _token(self, node: "Node") -> None:
        if node.type not in _TOKENS or (node.type == ";;" and node.parent and node.parent.type != "case_item"):
            self.doubt(f"it contains {self.text(node)[:20]!r}", broken=True)
        if node.is_missing:
            self.doubt("it is not understood in full", broken=True)
        if node.start_byte != node.end_byte:
            self._cover(node, KEYWORD if _IS_KEYWORD.match(node.type) else OPERATOR)

    def _comment(self, node: "Node") -> None:
        before = self.source[node.start_byte - 1 : node.start_byte]
        if before not in ("", " ", "\t", "\n", ";", "&", "|", "(", ")") or "\n" in self.text(node):
            raise NotAWordError
        following = self.source[node.end_byte : node.end_byte + 1]
        if following not in ("", "\n"):
            raise NotAWordError
        self._cover(node, OPERATOR)

    def _loop_variable(self, node: "Node") -> None:
        if node.parent and node.parent.child_by_field_name("variable") == node:
            name = self.text(node)
            word = Word(f"{name}=...", None)
            self.items.append(Simple(f"for {name}", (), (word,), nested=True))

    # --- Simple commands ---------------------------------------------------------------------------------------

    def _command(self, node: "Node", depth: int, nested: bool, redirects: "list[Node] | None" = None) -> None:
        self.owner += 1
        owner = self.owner
        command = _Command()
        if node.type != "command":
            # export, declare, unset: the keyword is the program.
            first = node.children[0]
            command.words.append(Word(self.text(first), self.text(first)))
            self._cover(first, owner)
        for child in node.children[0 if node.type == "command" else 1 :]:
            if child.type == "variable_assignment" and not command.words:
                command.assignments.append(self._word(child, depth, owner))
            elif child.type in ("file_redirect", "herestring_redirect", "heredoc_redirect"):
                self._redirect(child, depth, command, nested, owner)
            elif child.type == "comment":
                self._comment(child)
            elif child.type in _WORDS or (child.is_named and child.type == "subscript"):
                command.words.append(self._word(child, depth, owner))
            elif child.type == "process_substitution":
                self._substitution(child, depth + 1)
                self._cover(child, owner)
                command.words.append(UNKNOWN)
            elif not child.is_named and child.type not in _TOKENS and not child.is_missing:
                # `$` or `==` standing alone are words that the grammar gives no name.
                command.words.append(self._word(child, depth, owner))
            else:
                self.doubt(f"it contains a {child.type.replace('_', ' ')}", broken=True)
                self.visit(child, depth + 1, nested=nested)
        for redirect in redirects or ():
            self._redirect(redirect, depth, command, nested, owner)
        self._emit(self._shown(node), command, nested)

    def _emit(self, text: str, command: _Command, nested: bool) -> None:
        if command.words and command.words[0].text in _RESERVED and command.words[0].plain:
            raise NotAWordError  # the grammar took a keyword for a program
        if len(self.items) > _MOST_ITEMS:
            raise RecursionError
        if command.words or command.assignments:
            self.items.append(Simple(text, tuple(command.words), tuple(command.assignments), nested))

    def _assignments(self, node: "Node", depth: int, nested: bool) -> None:
        self.owner += 1
        command = _Command()
        for part in [node] if node.type == "variable_assignment" else node.children:
            command.assignments.append(self._word(part, depth, self.owner))
        self._emit(self._shown(node), command, nested)

    def _test(self, node: "Node", depth: int, nested: bool) -> None:
        raw = self.text(node)
        match = _TEST.fullmatch(raw)
        simple = match is not None and len(match[1]) == len(match[3])
        if not simple or _EVALUATES.search(raw) or raw.count('"') % 2 or raw.count("'") % 2:
            self.doubt("it contains a test that may evaluate what it is given")
            self._walk_in(node, depth)
            words = [Word(node.children[0].type, node.children[0].type)]
        else:
            parts = self._shown(node).split()
            words = [Word(part, None if "$" in part else part.strip("\"'")) for part in parts]
        self._cover(node, OPERATOR)
        self.items.append(Simple(self._shown(node), tuple(words), (), nested))

    # --- Redirections ------------------------------------------------------------------------------------------

    def _redirected(self, node: "Node", depth: int, nested: bool) -> None:
        body = node.child_by_field_name("body")
        redirects = [child for child in node.children if child != body]
        if body is not None and body.type in ("command", "declaration_command", "unset_command"):
            self._command(body, depth, nested, redirects)
            return
        # They hold for the whole body or for its last command: judged where both begin, and again after it.
        before = len(self.items)
        for child in redirects:
            self._redirect(child, depth, None, nested)
        opened = [item for item in self.items[before:] if isinstance(item, Redirect)]
        if body is not None:
            self.visit(body, depth + 1, nested=nested)
            self.items += opened

    def _redirect(
        self, node: "Node", depth: int, command: _Command | None, nested: bool, owner: int | None = None
    ) -> None:
        if owner is None:
            self.owner += 1
            owner = self.owner
        if node.type == "heredoc_redirect":
            self._heredoc(node, depth, command, nested, owner)
            return
        if node.type not in ("file_redirect", "herestring_redirect"):
            self.visit(node, depth + 1, nested=nested)
            return
        operator = next((child.type for child in node.children if not child.is_named), "")
        targets: list[Word] = []
        for child in node.children:
            if child.type == "file_descriptor":
                if self.text(child)[:1] == "{":
                    raise NotAWordError
                self._cover(child, OPERATOR)
            elif child.type == "process_substitution":
                self.doubt("it contains a process substitution")
                self.visit(child, depth + 1, nested=True)
            elif not child.is_named and child.type in _TOKENS:
                self._token(child)
            else:
                targets.append(self._word(child, depth, owner))
        if len(targets) > 1:
            # Words after the target are arguments of the command.
            if command is None:
                raise NotAWordError
            command.words += targets[1:]
        if targets and operator != "<<<":
            self._open(node, operator, targets[0])

    def _open(self, node: "Node", operator: str, target: Word) -> None:
        # Copies of descriptors are no files; dash reads `&>` and a `>&` to a name otherwise, both as writes.
        if operator in (">&", "<&") and target.exact is not None and re.fullmatch(r"[0-9]+-?|-", target.exact):
            return
        self.items.append(Redirect(self._shown(node), target, writes=operator != "<"))

    def _heredoc(self, node: "Node", depth: int, command: _Command | None, nested: bool, owner: int) -> None:
        self.heredocs += 1
        start = next((child for child in node.children if child.type == "heredoc_start"), None)
        operator = next((child.type for child in node.children if child.type in ("<<", "<<-")), None)
        if start is None or operator is None or self.heredocs > 1:
            raise NotAWordError
        delimiter = read_word(self.source, start.start_byte, start.end_byte, {})
        if delimiter.value is None or not re.fullmatch(r"[\w.!@%-]+", delimiter.value) or not delimiter.sure:
            raise NotAWordError
        body, end, stop = self._heredoc_extent(start.end_byte, delimiter.value, operator == "<<-")
        grammar_end = next((child for child in node.children if child.type == "heredoc_end"), None)
        if grammar_end is None or not end <= grammar_end.start_byte <= stop:
            raise NotAWordError
        self._heredoc_body(node, self.source[body:end], delimiter, depth)
        self._cover(start, owner)
        self.spans.add(body, stop, HEREDOC)
        for child in node.children:
            if child.type == "file_descriptor":
                self._cover(child, OPERATOR)
            elif child.type in ("file_redirect", "herestring_redirect"):
                self._redirect(child, depth, command, nested, owner)
            elif child.is_named and child.type in _WORDS and command is not None:
                command.words.append(self._word(child, depth, owner))
            elif child.type not in ("heredoc_start", "heredoc_body", "heredoc_end"):
                self.visit(child, depth + 1, nested=nested)

    def _heredoc_extent(self, start: int, delimiter: str, tabs: bool) -> tuple[int, int, int]:
        """Where the text begins, where the line of its delimiter begins and ends: as a shell finds them."""
        body = line = self.source.find("\n", start) + 1
        if body == 0:
            raise NotAWordError
        while line <= len(self.source):
            stop = self.source.find("\n", line)
            stop = len(self.source) if stop < 0 else stop
            text = self.source[line:stop]
            if (text.lstrip("\t") if tabs else text) == delimiter:
                return body, line, stop
            line = stop + 1
        raise NotAWordError

    def _heredoc_body(self, node: "Node", body: str, delimiter: Word, depth: int) -> None:
        if not delimiter.plain:
            return
        if "\\\n" in body:
            raise NotAWordError
        if "`" in body or "$(" in body or "${" in body or "$[" in body:
            self.doubt("its here-document contains a substitution")
            for child in node.children:
                if child.type == "heredoc_body":
                    self._walk_in(child, depth)

    # --- Words -------------------------------------------------------------------------------------------------

    def _word(self, node: "Node", depth: int, owner: int) -> Word:
        holes: dict[int, int] = {}
        for inner in _substitutions(node):
            holes[inner.start_byte] = inner.end_byte
            self._substitution(inner, depth + 1)
        word = read_word(self.source, node.start_byte, node.end_byte, holes)
        self._cover(node, owner)
        return word

    def _substitution(self, node: "Node", depth: int) -> None:
        """Walk what a substitution runs, and check that it ends where the grammar says."""
        raw = self.text(node)
        match node.type:
            case "expansion":
                if not _SIMPLE_PARAMETER.fullmatch(raw):
                    self.doubt("it contains an expansion that may run something")
                    self._walk_in(node, depth)
            case "arithmetic_expansion":
                if not _ARITHMETIC.fullmatch(raw):
                    self.doubt("it contains arithmetic that may run something")
                    self._walk_in(node, depth)
            case _:
                self._nested_commands(node, raw, depth)

    def _walk_in(self, node: "Node", depth: int) -> None:
        """Walk what the substitutions in a node run."""
        for child in node.children:
            for inner in _substitutions(child):
                self._substitution(inner, depth + 1)

    def _nested_commands(self, node: "Node", raw: str, depth: int) -> None:
        opened = {"$(": 2, "`": 1, "<(": 2, ">(": 2}.get("`" if raw[:1] == "`" else raw[:2], 0)
        if not opened or (raw[0] == "`" and "\\" in raw):
            raise NotAWordError
        if node.type == "process_substitution":
            self.doubt("it contains a process substitution")
        outer, self.spans = self.spans, Spans(self.source)
        for child in node.children[1:-1]:
            self.visit(child, depth + 1, nested=True)
        self.spans.check(node.start_byte + opened, node.end_byte - 1)
        self.spans = outer


def _substitutions(node: "Node") -> "list[Node]":
    """The outermost substitutions at or below a node."""
    kinds = ("command_substitution", "expansion", "arithmetic_expansion", "process_substitution")
    if node.type in kinds:
        return [node]
    return [found for child in node.children for found in _substitutions(child)]
