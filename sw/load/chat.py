"""Writes a conversation as the text that a model was trained to continue."""

from __future__ import annotations

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sw.errors import UserError


def render_chat(template: str | None, messages: list[dict], names: dict[str, str]) -> str:
    """Render a chat template.

    The template comes from a model file, so it runs in a sandbox.

    Parameters
    ----------
    template : str or None
        Jinja template of the model file.
    messages : list of dict
        Each with ``role`` and ``content``, both str.
    names : dict
        Further variables of the template, such as ``eos_token``.

    Returns
    -------
    str
        The conversation up to where the assistant's answer begins.

    Raises
    ------
    UserError
        If there is no template, a message is incomplete, or the template refuses them.
    """
    if template is None:
        raise UserError("This model has no chat template: give it plain text to continue.")
    for message in messages:
        if not all(isinstance(message.get(key), str) for key in ("role", "content")):
            raise UserError(f"A message needs a role and a content, both text, not {message}.")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = _refuse
    try:
        return environment.from_string(template).render(
            messages=messages, add_generation_prompt=True, **names
        )
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise UserError(f"The model's chat template fails on these messages: {error}.") from error


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)
