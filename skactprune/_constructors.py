"""Constructors that several classes share."""

from __future__ import annotations

from types import FunctionType
from typing import Any


class NamedConstructor:
    """Mixin: where a parameter is misspelt, the error names the class, not a base of it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        inherited = cls.__init__
        if "__init__" in vars(cls) or not isinstance(inherited, FunctionType):
            return
        own = FunctionType(
            inherited.__code__,
            inherited.__globals__,
            inherited.__name__,
            inherited.__defaults__,
            inherited.__closure__,
        )
        own.__kwdefaults__, own.__annotations__ = (
            inherited.__kwdefaults__,
            inherited.__annotations__,
        )
        own.__doc__, own.__module__ = inherited.__doc__, inherited.__module__
        own.__qualname__ = f"{cls.__qualname__}.__init__"
        cls.__init__ = own  # type: ignore[method-assign]
