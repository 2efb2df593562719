"""A side question: what is sent for it, which is no part of the conversation."""

from kimi_code.agent.context import repair
from kimi_code.agent.environment import Agent
from kimi_code.llm.model import ModelRequest
from kimi_code.messages import Message

_ASIDE = (
    "(A side question: answer it briefly from what you know of this conversation, in words only. Call no tools, and do "
    "not go on with the work; neither the question nor your answer will be part of the conversation.)"
)


def request_for(agent: Agent, question: str) -> ModelRequest:
    """The conversation as it stands, with the question behind it."""
    context = agent.context
    asked = Message("user", f"{question}\n\n{_ASIDE}", source="notice")
    messages = [*repair(context.messages), asked]
    # The tools as in any other request: without them the provider's cache of the conversation would not fit.
    return ModelRequest(context.system, messages, context.tools, agent.thinking, context.session_id)
