"""The OpenAI SDK, loaded without the parts that are never used here.

`import openai` spends most of its time on about a thousand model classes for typed answers. Streams are read raw here,
so those packages are put off: they load as usual if anything ever asks for them.
"""

import gc
import importlib
import ssl
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kimi_code.values import frozen

if TYPE_CHECKING:
    import httpx2
    import openai

# Packages whose __init__ pulls in the rest; what is needed of them is imported by its full name.
# httpcore2 is the transport that aiohttp stands in for: only a TLS context is ever asked of it.
PUT_OFF = ("openai", "openai.types", "openai.types.shared", "openai.lib", "httpcore2")


@frozen
class SDK:
    """The few names of the SDK and its transport that the adapter uses."""

    client: "type[openai.AsyncOpenAI]"
    transport: "type[httpx2.AsyncClient]"
    response: "type[httpx2.Response]"
    timeout: "type[httpx2.Timeout]"
    limits: "type[httpx2.Limits]"
    # A TLS context as the transport would make it (system certificates, SSL_CERT_FILE); it takes 80 ms.
    tls_context: "Callable[[], ssl.SSLContext]"
    status_error: "type[openai.APIStatusError]"
    # Everything the SDK, its transport and the layers below raise when a connection fails.
    failures: tuple[type[Exception], ...]


class _PutOff(ModuleType):
    """A package that runs its own __init__ only when a name is asked for that is no module of it."""

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if spec is None or spec.loader is None or (name.startswith("__") and name not in ("__version__", "__title__")):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if find_spec(f"{self.__name__}.{name}") is not None:
            return importlib.import_module(f"{self.__name__}.{name}")
        object.__setattr__(self, "__class__", ModuleType)
        spec.loader.exec_module(self)
        return getattr(self, name)


def preload() -> None:
    """Import the SDK now; call it in a thread while something else is done. Cheap when it is loaded already."""
    load()


def load(put_off: Sequence[str] = PUT_OFF) -> SDK:
    """The SDK; on any surprise with the packages that are put off it is imported plainly.

    Raises:
        ImportError: it is not installed, or broken.
    """
    if "openai" in sys.modules:
        return _names()
    collecting = gc.isenabled()
    gc.disable()  # tens of thousands of new objects, none of them garbage
    try:
        return _load_lean(put_off) or _names()
    finally:
        if collecting:
            gc.enable()


def _load_lean(put_off: Sequence[str]) -> SDK | None:
    try:
        for name in put_off:
            if name not in sys.modules:
                _put_off(name)
        with _no_certificates():
            return _names()
    except Exception:
        for name in [name for name in sys.modules if name == "openai" or name.startswith("openai.")]:
            del sys.modules[name]
        return None


@contextmanager
def _no_certificates() -> Generator[None]:
    """Meanwhile this thread's TLS contexts are made without the system's certificates: they trust nobody.

    aiohttp makes two contexts when it is imported, 50 ms for what is never used here: the client brings its own.
    """
    thread, load_certificates = threading.get_ident(), ssl.SSLContext.set_default_verify_paths

    def load_elsewhere(context: ssl.SSLContext) -> None:
        if threading.get_ident() != thread:
            load_certificates(context)

    setattr(ssl.SSLContext, name := "set_default_verify_paths", load_elsewhere)
    try:
        yield
    finally:
        # The method is inherited: without ours, the original shows again.
        delattr(ssl.SSLContext, name)


def _put_off(name: str) -> None:
    spec = find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError(f"{name} is no package")
    module = module_from_spec(spec)
    module.__class__ = _PutOff
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


def _names() -> SDK:
    def name(module: str, attribute: str) -> Any:
        return getattr(importlib.import_module(module), attribute)

    return SDK(
        client=name("openai._client", "AsyncOpenAI"),
        transport=name("openai._base_client", "DefaultAioHttpClient"),
        response=name("httpx2", "Response"),
        timeout=name("httpx2", "Timeout"),
        limits=name("httpx2", "Limits"),
        tls_context=name("httpx2", "create_ssl_context"),
        status_error=name("openai._exceptions", "APIStatusError"),
        failures=(
            name("openai._exceptions", "OpenAIError"),
            name("httpx2", "HTTPError"),
            name("httpx2", "StreamError"),
            name("httpx2", "InvalidURL"),
            name("aiohttp", "ClientError"),
            OSError,
        ),
    )
