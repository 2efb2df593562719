"""Whether a definition is visible outside its file or package, by the rule of its language."""

import re

from kimi_code.repo.symbols import Kind
from kimi_code.values import frozen

_WORD = re.compile(r"[A-Za-z]+")


@frozen
class Declaration:
    """What the rules look at: `within` is the kind of its parent, `access` a section's, `exports` an export's word."""

    name: str
    kind: Kind
    signature: str
    within: str
    access: str
    exports: bool

    def words(self) -> set[str]:
        """Those before the name: modifiers, among others."""
        return set(_WORD.findall(self.signature.partition(self.name)[0]))


def is_exported(language: str, it: Declaration) -> bool:
    """The rule of `language` for a definition whose parents are exported themselves."""
    if it.within in ("function", "method", "macro"):
        return False
    match language:
        case "python":
            return not it.name.startswith("_") or (it.name.startswith("__") and it.name.endswith("__"))
        case "javascript" | "typescript" | "tsx":
            if it.within:
                return it.exports or not (it.name.startswith("#") or it.words() & {"private", "protected"})
            return it.exports
        case "go":
            return it.name[:1].isupper()
        case "rust":
            return "pub" in it.words() or it.within in ("trait", "enum") or (it.within == "scope" and it.access != "")
        case "java":
            return bool(it.words() & {"public", "protected"}) or it.within in ("interface", "enum")
        case "csharp":
            if it.within in ("", "module"):
                return not it.words() & {"private", "file"}
            return bool(it.words() & {"public", "protected", "internal"}) or it.within in ("interface", "enum")
        case "kotlin" | "scala":
            return "private" not in it.words()
        case "php":
            return it.within != "scope" and not it.words() & {"private", "protected"}
        case "swift":
            return not it.words() & {"private", "fileprivate"}
        case "c":
            return "static" not in it.words()
        case "cpp":
            if it.within in ("class", "struct"):
                return not it.access.startswith(("private", "protected"))
            return "static" not in it.words()
        case "ruby":
            return it.access not in ("private", "protected")
        case "lua":
            return "local" not in it.words()
        case "elixir":
            return not it.signature.startswith(("defp ", "defmacrop "))
        case "dart":
            return not it.name.startswith("_")
        case "zig":
            return "pub" in it.words() or it.within == "enum"
        case _:
            return True
