"""Text that the user wrote, on its way to a terminal, a Markdown page, or an error message."""

from __future__ import annotations

import os
import re
from reprlib import Repr
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

_SHORT = Repr()
_SHORT.maxstring = 60
PLAIN = {"±": "+-", "─": "-"}
"""What stands for characters of ours that an encoding lacks."""


def shown(text: str) -> str:
    """Text that no terminal obeys: control and format characters are escaped as in Python."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def quoted(text: object) -> str:
    """Text in quotes, escaped, with its middle left out where it is long."""
    return _SHORT.repr(str(text))


def listed(texts: Sequence[str], most: int) -> str:
    """The first few texts in quotes, and dots for the others."""
    return ", ".join([*map(quoted, texts[:most]), *["..."] * (len(texts) > most)])


def markdown_text(text: str) -> str:
    """Text that Markdown, and the HTML and formulas in it, take for nothing but text."""
    text = re.sub(r"([\\`*_\[\]|~$#!])", r"\\\1", shown(text))
    # At the start of a line, these would make a list.
    text = re.sub(r"^(\d*)([-+.)])", r"\1\\\2", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def write(stream: TextIO, text: str) -> None:
    """Write to a stream, in characters that its encoding has."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    for char, plain in PLAIN.items():
        if not _encodes(encoding, char):
            text = text.replace(char, plain)
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _encodes(encoding: str, char: str) -> bool:
    try:
        return bool(char.encode(encoding))
    except UnicodeEncodeError:
        return False


def silence(stream: TextIO) -> None:
    """Let go of a stream that cannot be written to, and would fail again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
