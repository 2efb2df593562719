import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kimi_code.config.keystore import KEYRING, Keystore
from kimi_code.errors import ConfigError

URL = "https://api.example.com/v1"
KEY = "sk-the-secret-key-0123456789"


@dataclass(slots=True)
class Drawer:
    """A keyring in memory; `broken` ones fail at everything."""

    works: bool = True
    broken: bool = False
    keys: dict[str, str] = field(default_factory=dict[str, str])

    def usable(self) -> bool:
        return self.works

    def get(self, name: str) -> str | None:
        if self.broken:
            raise RuntimeError("the keyring is locked")
        return self.keys.get(name)

    def put(self, name: str, key: str) -> None:
        if self.broken:
            raise RuntimeError("the keyring is locked")
        self.keys[name] = key

    def delete(self, name: str) -> None:
        del self.keys[name]


def test_a_key_goes_to_the_keyring_and_no_file_has_it(tmp_path: Path) -> None:
    drawer = Drawer()
    store = Keystore(tmp_path, drawer)
    assert store.keep("moonshot", URL, f" {KEY}\n").where == KEYRING
    assert store.find("moonshot", URL) == KEY
    assert store.has("moonshot", URL)
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and KEY in file.read_text()]
    assert store.forget("moonshot")
    assert drawer.keys == {}
    assert not store.forget("moonshot")
    assert store.find("moonshot", URL) == ""


@pytest.mark.parametrize("drawer", [Drawer(works=False), Drawer(broken=True)])
def test_without_a_working_keyring_a_file_that_only_the_owner_reads_has_it(tmp_path: Path, drawer: Drawer) -> None:
    store = Keystore(tmp_path, drawer)
    kept = store.keep("moonshot", URL, KEY)
    assert store.find("moonshot", URL) == KEY
    assert [each.provider for each in store.list()] == ["moonshot"]
    if os.name == "posix":
        file = Path(kept.where)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [file.name for file in (tmp_path / "keys").iterdir()] == ["moonshot.json"]


def test_a_key_is_given_to_the_server_it_was_kept_for_and_to_no_other(tmp_path: Path) -> None:
    store = Keystore(tmp_path, Drawer())
    store.keep("moonshot", URL, KEY)
    assert store.find("moonshot", "https://api.example.com/other/v2") == KEY
    for other in ("http://api.example.com/v1", "https://evil.example/v1", "https://api.example.com:444/v1"):
        assert store.find("moonshot", other) == ""
        assert not store.has("moonshot", other)


def test_a_keyring_that_stays_locked_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    drawer = Drawer()
    store = Keystore(tmp_path, drawer)
    store.keep("moonshot", URL, KEY)
    drawer.broken = True
    with pytest.raises(ConfigError, match="locked") as error:
        store.find("moonshot", URL)
    assert "kimi-code login" in str(error.value)


@pytest.mark.parametrize("key", ["", "  ", "sk-one sk-two", "sk-…"])
def test_what_can_be_no_key_is_refused_without_showing_it(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError) as error:
        Keystore(tmp_path, Drawer()).keep("moonshot", URL, key)
    assert "sk-" not in str(error.value)


def test_a_broken_note_is_as_none(tmp_path: Path) -> None:
    store = Keystore(tmp_path, Drawer())
    store.keep("moonshot", URL, KEY)
    (tmp_path / "keys" / "moonshot.json").write_text('{"base_url": 3')
    assert store.find("moonshot", URL) == ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_any_name_of_a_provider_is_a_file_of_its_own(tmp_path: Path, name: str) -> None:
    store = Keystore(tmp_path, Drawer(works=False))
    kept = store.keep(name, URL, KEY)
    assert Path(kept.where).parent == tmp_path / "keys"
    assert store.where(name) == kept
    assert store.forget(name)
