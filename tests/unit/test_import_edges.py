"""Imports resolved to files: a table for each language, over paths that need not exist."""

from collections.abc import Iterable, Mapping

import pytest

from kimi_code.repo.indexing.import_edges import is_manifest, read_layout, resolve
from kimi_code.repo.symbols import analyse


def edges(path: str, source: str, paths: Iterable[str], manifests: Mapping[str, str] | None = None) -> list[str]:
    """The files that the imports in `source` mean, in order; repeated ones once."""
    found = analyse(path, source.encode(), 20)
    layout = read_layout({*paths, path}, manifests or {})
    return list(dict.fromkeys(file for it in found.imports for file in resolve(layout, path, found.language, it)))


PYTHON = {
    "src/app/__init__.py", "src/app/core/__init__.py", "src/app/core/models.py", "src/app/core/views.py",
    "src/app/util.py", "tests/conftest.py", "tests/helpers.py", "tools/models.py", "plain/part.py", "src/loose/one.py",
}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ("import app.util", ["src/app/util.py"]),
        ("import app.util as u, os", ["src/app/util.py"]),
        ("from app import util", ["src/app/util.py", "src/app/__init__.py"]),
        ("from app.core.models import Model", ["src/app/core/models.py"]),
        ("from . import models", ["src/app/core/models.py", "src/app/core/__init__.py"]),
        ("from .models import (\n  A,  # first\n  B as C,\n)", ["src/app/core/models.py"]),
        ("from .. import util", ["src/app/util.py", "src/app/__init__.py"]),
        ("from ..util import *", ["src/app/util.py"]),
        ("from .... import far", []),
        ("from ..... import outside", []),
        ("import src.app.util", ["src/app/util.py"]),
        ("import plain.part", ["plain/part.py"]),
        ("import loose.one", ["src/loose/one.py"]),
        ("import json, numpy as np", []),
    ],
)
def test_python_imports_lead_to_their_files(source: str, files: list[str]) -> None:
    assert edges("src/app/core/views.py", source, PYTHON) == files


def test_of_two_python_modules_of_one_name_the_nearer_is_meant() -> None:
    paths = {"a/util.py", "b/util.py", "b/main.py"}
    assert edges("b/main.py", "import util", paths) == ["b/util.py"]


SCRIPTS = {
    "web/src/app.ts", "web/src/lib/index.ts", "web/src/lib/money.ts", "web/src/Card.vue", "web/src/old.js",
    "web/src/types.d.ts", "packages/ui/src/index.tsx", "packages/ui/src/button.tsx", "packages/ui/package.json",
    "web/tsconfig.json",
}  # fmt: skip
MANIFESTS = {
    "packages/ui/package.json": '{"name": "@shop/ui"}',
    "web/tsconfig.json": """{ // where things are
      "compilerOptions": {"baseUrl": ".", "paths": {"@/*": ["src/*"], "$money": ["src/lib/money.ts"],}}
    }""",
}


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ("import { a } from './lib'", ["web/src/lib/index.ts"]),
        ("import a from './lib/money.js'", ["web/src/lib/money.ts"]),
        ("import type { T } from './types'", ["web/src/types.d.ts"]),
        ("import Card from './Card.vue'", ["web/src/Card.vue"]),
        ("export * from './old'", ["web/src/old.js"]),
        ("const { x } = require('./old')", ["web/src/old.js"]),
        ("const lazy = await import('./lib/money')", ["web/src/lib/money.ts"]),
        ("import x from '@/lib/money'", ["web/src/lib/money.ts"]),
        ("import x from '$money'", ["web/src/lib/money.ts"]),
        ("import x from 'src/old'", ["web/src/old.js"]),
        ("import { Button } from '@shop/ui'", ["packages/ui/src/index.tsx"]),
        ("import { Button } from '@shop/ui/button'", ["packages/ui/src/button.tsx"]),
        ("import 'react'; import '../../../../out'", []),
    ],
)
def test_javascript_and_typescript_imports_lead_to_their_files(source: str, files: list[str]) -> None:
    assert edges("web/src/app.ts", source, SCRIPTS, MANIFESTS) == files


def test_go_packages_are_folders_of_the_module() -> None:
    paths = {"svc/go.mod", "svc/main.go", "svc/store/a.go", "svc/store/b.go", "svc/store/a_test.go", "svc/x/y.go"}
    source = 'package main\nimport (\n\t"fmt"\n\ts "example.com/svc/store"\n\t_ "example.com/svc/none"\n)\n'
    manifests = {"svc/go.mod": "module example.com/svc\n\ngo 1.22\n"}
    assert edges("svc/main.go", source, paths, manifests) == ["svc/store/a.go", "svc/store/b.go"]


RUST = {
    "Cargo.toml", "src/lib.rs", "src/net/mod.rs", "src/net/wire.rs", "src/util.rs", "src/util/text.rs",
    "other/Cargo.toml", "other/src/lib.rs", "other/src/deep.rs",
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "source", "files"),
    [
        ("src/lib.rs", "mod net;\npub mod util;", ["src/net/mod.rs", "src/util.rs"]),
        ("src/util.rs", "mod text;", ["src/util/text.rs"]),
        ("src/util.rs", "use crate::net::wire::{Frame, Kind as K};", ["src/net/wire.rs"]),
        ("src/net/wire.rs", "use super::Conn; use crate::util;", ["src/net/mod.rs", "src/util.rs"]),
        ("src/util.rs", "use other_crate::deep::Thing;", ["other/src/deep.rs"]),
        ("src/util.rs", "use std::io; use serde::Serialize;", []),
    ],
)
def test_rust_uses_lead_to_their_files(path: str, source: str, files: list[str]) -> None:
    manifests = {"other/Cargo.toml": '[package]\nname = "other-crate"\n', "Cargo.toml": '[package]\nname = "main"\n'}
    assert edges(path, source, RUST, manifests) == files


def test_java_packages_are_folders_below_any_source_root() -> None:
    root = "app/src/main/java/com/shop"
    paths = {f"{root}/Main.java", f"{root}/model/Order.java", f"{root}/model/Item.java", f"{root}/util/Money.java"}
    source = (
        "package com.shop;\nimport com.shop.model.Order;\nimport static com.shop.util.Money.round;\n"
        "import java.util.List;\nimport com.shop.model.*;\nclass Main {}\n"
    )
    assert edges(f"{root}/Main.java", source, paths) == [
        f"{root}/model/Order.java",
        f"{root}/util/Money.java",
        f"{root}/model/Item.java",
    ]


@pytest.mark.parametrize(
    ("path", "source", "files"),
    [
        ("src/a.c", '#include "b.h"\n#include <lib/c.h>\n#include <stdio.h>\n', ["src/b.h", "include/lib/c.h"]),
        ("a/x.rb", "require_relative '../b/y'\nrequire 'json'\n", ["b/y.rb"]),
        ("run.sh", 'source ./lib/common.sh\n. "$(dirname "$0")/lib/other.sh"\n', ["lib/common.sh", "lib/other.sh"]),
        ("main.lua", 'local m = require("game.items")\n', ["game/items.lua"]),
        ("web/a.php", "<?php require_once __DIR__ . '/b.php';", ["web/b.php"]),
    ],
)
def test_imports_that_are_paths_lead_there(path: str, source: str, files: list[str]) -> None:
    paths = {
        "src/b.h", "include/lib/c.h", "b/y.rb", "lib/common.sh", "lib/other.sh", "game/items.lua", "web/b.php",
    }  # fmt: skip
    assert edges(path, source, paths) == files


def test_a_broken_manifest_says_nothing() -> None:
    manifests = {"tsconfig.json": "{ nonsense", "package.json": "[]", "go.mod": "", "Cargo.toml": "[[["}
    assert all(map(is_manifest, manifests))
    assert edges("a.ts", "import './b'", {"b.ts", *manifests}, manifests) == ["b.ts"]


def test_a_file_does_not_import_itself() -> None:
    assert edges("a/__init__.py", "from . import x", {"a/x.py"}) == ["a/x.py"]
