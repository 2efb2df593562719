"""Every language's sample and the listing of what is found in it; both are in tests/golden/symbols.

After a change that is meant, write the listings anew and read the difference:

    REGENERATE_GOLDEN=1 python -m pytest tests/unit/test_symbols_golden.py
"""

import os
from pathlib import Path

import pytest

from kimi_code.repo.symbols import FileSymbols, Import, Symbol, analyse

FOLDER = Path(__file__).parent.parent / "golden" / "symbols"
SAMPLES = sorted(path.name for path in FOLDER.glob("*.sample"))


def show(found: FileSymbols) -> str:
    lines = [f"language {found.language}{f', {found.problem}' if found.problem else ''}", ""]
    lines += [show_symbol(symbol) for symbol in found.symbols]
    lines += ["", *(show_import(statement) for statement in found.imports), ""]
    lines += [f"{name}: {', '.join(map(str, at))}" for name, at in sorted(found.references.items())]
    return "\n".join(lines).rstrip() + "\n"


def show_symbol(it: Symbol) -> str:
    doc = f"   # {it.doc}" if it.doc else ""
    return f"{it.line}-{it.end_line} {it.kind} {it.path}{' exported' if it.exported else ''}   | {it.signature}{doc}"


def show_import(it: Import) -> str:
    names = ", ".join(there if there == here else f"{there or '.'} as {here}" for there, here in it.names)
    return f"{it.line} import {it.target}{f' ({names})' if names else ''}"


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_found_in_a_sample_is_what_its_listing_says(name: str) -> None:
    found = analyse(f"src/{name.removesuffix('.sample')}", (FOLDER / name).read_bytes(), 20)
    listing = (FOLDER / name).with_suffix(".symbols")
    if os.environ.get("REGENERATE_GOLDEN"):
        listing.write_text(show(found), "utf-8", newline="\n")
    assert show(found) == listing.read_text("utf-8")
