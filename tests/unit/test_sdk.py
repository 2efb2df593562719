"""The SDK is loaded without its unused parts, in fresh interpreters."""

import subprocess
import sys
import textwrap

from tests.server import FakeServer, say

ASK = """
import asyncio, sys
from kimi_code.llm import sdk
from kimi_code.llm.model import ModelRequest, Profile
from kimi_code.llm.openai_chat import OpenAIChat
from kimi_code.messages import Message

async def ask() -> str:
    model = OpenAIChat(sys.argv[1], "key", Profile("m"))
    chunks = [chunk async for chunk in model.stream(ModelRequest("", [Message("user", "hi")]))]
    await model.close()
    return chunks[-1].text
"""


def run(program: str, *arguments: str) -> None:
    """Run `ASK` and `program` in a new interpreter; fail unless it succeeds and prints nothing."""
    command = [sys.executable, "-W", "error", "-c", ASK + textwrap.dedent(program), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)


def test_the_client_works_with_its_certificates_and_the_put_off_packages_still_resolve(server: FakeServer) -> None:
    server.script(say("hello"))
    run(
        """
        import gc, ssl
        assert gc.isenabled()
        sdk.preload()
        assert gc.isenabled()
        assert "openai.types.chat" not in sys.modules
        # Certificates are loaded for the client, and not for contexts that nobody uses.
        import aiohttp.connector
        unused = aiohttp.connector._SSL_CONTEXT_VERIFIED
        assert unused.cert_store_stats()["x509"] == 0 and unused.verify_mode is ssl.CERT_REQUIRED
        assert sdk.load().tls_context().cert_store_stats() == ssl.create_default_context().cert_store_stats()
        assert "set_default_verify_paths" not in vars(ssl.SSLContext)
        assert asyncio.run(ask()) == "hello"
        assert "openai.types.chat" not in sys.modules
        import openai
        from openai.types import Model
        from openai.types.chat import ChatCompletion
        assert openai.types.chat.ChatCompletion is ChatCompletion
        assert openai.AsyncOpenAI is sdk.load().client
        assert issubclass(openai.OpenAI, openai.Client)
        assert openai.__version__ and openai.lib.azure and openai.pydantic_function_tool
        assert not hasattr(openai, "no_such_name")
        assert not hasattr(openai, "__no_such_name__")
        """,
        server.url,
    )


def test_another_layout_falls_back_to_the_plain_import_which_is_used_as_it_is(server: FakeServer) -> None:
    server.script(say("hello"))
    run(
        """
        import gc
        gc.disable()
        names = sdk.load(put_off=("openai", "openai.types", "openai.no_such_package"))
        assert not gc.isenabled()  # as whoever turned it off wants it
        import openai
        assert type(openai).__name__ == "module"
        assert "openai.types.chat" in sys.modules
        assert openai.AsyncOpenAI is names.client
        # Whoever imported it, it is there now.
        assert sdk.load().client is openai.AsyncOpenAI and type(openai).__name__ == "module"
        assert asyncio.run(ask()) == "hello"
        """,
        server.url,
    )


def test_importing_the_adapter_imports_nothing_heavy() -> None:
    run(
        """
        import kimi_code.llm.discovery, kimi_code.llm.profiles
        heavy = {"openai", "httpx2", "aiohttp", "pydantic", "urllib.request", "http.client"} & set(sys.modules)
        assert not heavy, heavy
        """
    )
