"""The Python API as a page, from the docstrings: read by griffe, written as Markdown that GitHub and the site both show.

See reference.py, which writes it to docs/reference/api.md.
"""

from __future__ import annotations

import functools
import inspect
import re
from typing import TYPE_CHECKING, Any

from griffe import Docstring, DocstringSection, DocstringSectionKind
from pydantic import BaseModel

import ctxkit
from ctxkit import dialects, testing
from ctxkit.editable import Candidate, Fold, Pending, Piece, Rewrite, Stub, Tally, Tidied
from ctxkit.hygiene.history import History
from ctxkit.hygiene.touches import Touch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["listed", "page"]

HEAD = """# Python API

Written from the docstrings by `python -m scripts.reference`. Whatever is named neither here nor on another
page is not public and may change.
"""
WIDTH = 100  # a longer signature has a line for each parameter


def page() -> str:
    """The names of the package."""
    lines = [HEAD, "## `ctxkit`\n"]
    for name in ctxkit.__all__:
        if not name.startswith("__"):
            lines += entry(f"ctxkit.{name}", getattr(ctxkit, name))
    lines.append("## What passes of your own are given, and give\n")
    for thing in (Piece, History, Rewrite, Stub, Fold, Candidate, Touch, Tidied, Tally, Pending):
        lines += entry(f"{thing.__module__}.{thing.__name__}", thing)
    lines.append("## `ctxkit.testing`\n")
    for name in testing.__all__:
        lines += entry(f"ctxkit.testing.{name}", getattr(testing, name))
    lines += [
        "## Wire formats\n",
        f"Editable: {listed(dialects.EDITABLE)}. Metered only: {listed(dialects.METER_ONLY)}.\n",
    ]
    return "\n".join(lines).rstrip() + "\n"


def listed(names: tuple[str, ...]) -> str:
    """Names as code, with commas."""
    return ", ".join(f"`{name}`" for name in names)


def entry(name: str, thing: Any) -> Iterator[str]:
    """Heading, signature, docstring, options and public methods of one name."""
    yield f"### `{name}`\n"
    if not (inspect.isclass(thing) and issubclass(thing, Exception)):
        yield code(thing.__name__ if hasattr(thing, "__name__") else name, thing)
    yield from told(thing)
    if inspect.isclass(thing):
        yield from options(thing)
        for own, member in sorted(vars(thing).items()):  # not what it has from pydantic or a tuple
            if not own.startswith("_") and own != "model_post_init" and inspect.getdoc(getattr(thing, own)):
                yield from method(thing, own, member)


def method(thing: type, name: str, member: Any) -> Iterator[str]:
    """A method, or a property, of a class."""
    if callable(getattr(thing, name)):
        yield f"#### `{thing.__name__}.{name}`\n"
        yield code(name, getattr(thing, name))
        yield from told(member)
    elif isinstance(member, property | functools.cached_property):
        yield f"#### `{thing.__name__}.{name}`\n"
        yield from told(member)


def options(thing: type) -> Iterator[str]:
    """The fields of a pydantic model, with what each one means."""
    if issubclass(thing, BaseModel):
        for option, field in thing.model_fields.items():
            yield item(f"`{option}`, default `{short(repr(field.default))}`", field.description or "")
        yield ""


def code(name: str, thing: Any) -> str:
    """The signature, a parameter a line where it is long."""
    parameters, result = signature(thing)
    name = f"async def {name}" if inspect.iscoroutinefunction(thing) else name
    said = f"{name}({', '.join(parameters)}){result}" if parameters is not None else name
    if len(said) > WIDTH and parameters:
        said = "".join([f"{name}(\n", *(f"    {each},\n" for each in parameters), f"){result}"])
    return f"```py\n{said}\n```\n"  # "py" is coloured, and not run as "python" is


def signature(thing: Any) -> tuple[list[str] | None, str]:
    """Parameters, and what comes back; no parameters where it cannot be called."""
    if inspect.isclass(thing) and issubclass(thing, BaseModel):
        return ["**options"], ""
    try:
        known = inspect.signature(thing)
    except (TypeError, ValueError):
        return None, ""
    parameters = [each for each in known.parameters.values() if each.name != "self"]
    said = [parameter(each) for each in parameters]
    named = [each.kind is each.KEYWORD_ONLY for each in parameters]
    if True in named and not any(each.kind is each.VAR_POSITIONAL for each in parameters):
        said.insert(named.index(True), "*")
    made = inspect.isclass(thing) or known.return_annotation is known.empty
    return said, "" if made else f" -> {annotation(known.return_annotation)}"


def parameter(each: inspect.Parameter) -> str:
    """``name: type = default``."""
    said = "*" * (each.kind is each.VAR_POSITIONAL) + "**" * (each.kind is each.VAR_KEYWORD) + each.name
    typed = each.annotation is not each.empty
    if typed:
        said += f": {annotation(each.annotation)}"
    if each.default is not each.empty:
        # The address of a function, or of what stands for a factory, differs from run to run.
        name = getattr(each.default, "__name__", None)
        value = name or ("..." if "<factory>" in repr(each.default) else short(repr(each.default)))
        said += f" = {value}" if typed else f"={value}"
    return said


def annotation(of: Any) -> str:
    """A type as it is written."""
    said: str = of if isinstance(of, str) else inspect.formatannotation(of)
    return re.sub(r"\bForwardRef\('([^']*)'\)", r"\1", said).strip("'\"")


def short(text: str) -> str:
    """Without the options of a ``Tidy``, which have an entry of their own."""
    return re.sub(r"Tidy\(compact=.*?recall_ttl=[0-9.]+\)", "Tidy()", text)


def told(thing: Any) -> Iterator[str]:
    """A docstring as Markdown."""
    for section in Docstring(inspect.getdoc(thing) or "").parse("google", warnings=False):
        yield from written(section)


def written(section: DocstringSection) -> Iterator[str]:
    """One section of a docstring: prose, an example, or a list of names."""
    match section.kind:
        case DocstringSectionKind.text:
            yield from prose(section.value)
        case DocstringSectionKind.admonition:
            yield f"**{section.title}**\n"
            yield from prose(section.value.description)
        case DocstringSectionKind.raises:
            yield "**Raises**\n"
            yield "\n".join(item(f"`{each.annotation}`", each.description) for each in section.value) + "\n"
        case DocstringSectionKind.returns:
            yield "**Returns**\n"
            yield "\n".join(item("", each.description) for each in section.value) + "\n"
        case DocstringSectionKind.parameters | DocstringSectionKind.attributes:
            yield f"**{section.kind.value.capitalize()}**\n"
            yield "\n".join(item(f"`{each.name}`", each.description) for each in section.value) + "\n"
        case _:
            raise ValueError(f"a section of a docstring that no page shows yet: {section.kind}")


def item(name: str, text: str) -> str:
    """An entry of a list; what is told of it goes on over several lines."""
    return "\n  ".join(f"- {': '.join(filter(None, [name, marked(text)]))}".splitlines())


def prose(text: str) -> Iterator[str]:
    """Paragraphs; doctests as code."""
    for paragraph in re.split(r"\n{2,}", text.strip()):
        yield f"```pycon\n{paragraph}\n```\n" if paragraph.startswith(">>>") else f"{marked(paragraph)}\n"


def marked(text: str) -> str:
    """The marks of docstrings as those of Markdown; the pages they name as links."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return re.sub(r"\bdocs/((?:how-to|explanation|reference)/[\w-]+\.md)", r"[\1](../\1)", text)
