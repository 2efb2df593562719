"""Whether a definition is visible outside its file or package, by the rule of its language."""

import re

_CODE = frozenset({"function", "method", "macro"})  # what stands in it is nobody else's
_WORD = re.compile(r"[A-Za-z]+")


def is_exported(language: str, name: str, signature: str, within: str, access: str, *, exports: bool) -> bool:
    """The rule of `language` for a definition whose parents are exported themselves.

    `within` is the kind of its parent, `access` what its section says, `exports` that an export's word stands there.
    """
    if within in _CODE:
        return False
    match language:
        case "python":
            return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))
        case "javascript" | "typescript" | "tsx":
            if within:
                return exports or not (name.startswith("#") or _words(name, signature) & {"private", "protected"})
            return exports
        case "go":
            return name[:1].isupper()
        case "rust":
            return (
                "pub" in _words(name, signature) or within in ("trait", "enum") or (within == "scope" and access != "")
            )
        case "java":
            return bool(_words(name, signature) & {"public", "protected"}) or within in ("interface", "enum")
        case "csharp":
            if within in ("", "module"):
                return not _words(name, signature) & {"private", "file"}
            return bool(_words(name, signature) & {"public", "protected", "internal"}) or within in (
                "interface",
                "enum",
            )
        case "kotlin" | "scala":
            return "private" not in _words(name, signature)
        case "php":
            return within != "scope" and not _words(name, signature) & {"private", "protected"}
        case "swift":
            return not _words(name, signature) & {"private", "fileprivate"}
        case "c":
            return "static" not in _words(name, signature)
        case "cpp":
            if within in ("class", "struct"):
                return not access.startswith(("private", "protected"))
            return "static" not in _words(name, signature)
        case "ruby":
            return access not in ("private", "protected")
        case "lua":
            return "local" not in _words(name, signature)
        case "elixir":
            return not signature.startswith(("defp ", "defmacrop "))
        case "dart":
            return not name.startswith("_")
        case "zig":
            return "pub" in _words(name, signature) or within == "enum"
        case _:
            return True


def _words(name: str, signature: str) -> set[str]:
    """Those before the name: modifiers, among others."""
    return set(_WORD.findall(signature.partition(name)[0]))
