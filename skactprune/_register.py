"""What families have in common: members that are known by a name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    T = TypeVar("T")


class Register:
    """Members of a family by name: methods, schedules, triggers, storages.

    Parameters
    ----------
    what : str
        Name of the parameter whose values are looked up, for error messages.
    home : str, default=None
        Package, or module, that is imported before anything is looked up. All modules of a
        package are, except those whose name starts with an underscore: a member need not be
        mentioned anywhere but in its own file.

    Examples
    --------
    >>> from skactprune._register import Register
    >>> colours = Register("colour")
    >>> @colours.add("red")
    ... class Red:
    ...     pass
    >>> colours.look_up("red") is Red
    True
    >>> colours.look_up("blue")
    Traceback (most recent call last):
        ...
    ValueError: colour='blue' is unknown. Known names: 'red'.
    """

    def __init__(self, what: str, home: str | None = None) -> None:
        self.what = what
        self.home = home
        self._members: dict[str, Any] = {}
        self._deferred: dict[str, Callable[[], Any]] = {}
        self._undiscovered = home is not None

    def add(self, name: str) -> Callable[[T], T]:
        """Decorator: make a class, function or other object known as `name`.

        Parameters
        ----------
        name : str
            The name, not taken yet.

        Returns
        -------
        callable
            Takes the member and returns it.

        Raises
        ------
        ValueError
            By what is returned, if another member has the name.
        """

        def add(member: T) -> T:
            known = self._members.setdefault(name, member)
            if known is not member:
                raise ValueError(f"name={name!r} is taken by {_title(known)}.")
            return member

        return add

    def defer(self, name: str, make: Callable[..., Any]) -> None:
        """Make a name known whose member is made when it is asked for.

        Parameters
        ----------
        name : str
            The name; where it is known, nothing happens.
        make : callable
            Returns the member.
        """
        if name not in self:
            self._deferred[name] = make

    def look_up(self, value: Any) -> Any:
        """Member of a name, or the value itself if it is none.

        Parameters
        ----------
        value : object
            A name, or an object that needs no looking up.

        Returns
        -------
        object
            What was added under the name, for instance a class; or `value`.

        Raises
        ------
        ValueError
            If `value` is an unknown name; the message lists the known ones.
        TypeError
            If `value` is a class, not an object of it.
        """
        if isinstance(value, type):
            raise TypeError(f"{self.what}={value!r} must be an object: {value.__name__}(...).")
        if not isinstance(value, str):
            return value
        if value in self._members and value not in self._deferred:
            return self._members[value]
        if value not in self:
            names = ", ".join(repr(name) for name in sorted(self))
            raise ValueError(f"{self.what}={value!r} is unknown. Known names: {names}.")
        if value in self._deferred:
            # Making it may add it already: its module is imported, decorators and all.
            member = self._deferred[value]()
            self._members.setdefault(value, member)
            self._deferred.pop(value, None)
        return self._members[value]

    def make(self, value: Any) -> Any:
        """Object of the class of a name, with default options, or the value if it is no name.

        Parameters
        ----------
        value : object
            As for `look_up`; what was added under a name must be callable without arguments.

        Returns
        -------
        object

        Raises
        ------
        ValueError
            As `look_up`.
        TypeError
            As `look_up`.
        """
        found = self.look_up(value)
        return found() if isinstance(value, str) else found

    def __contains__(self, name: object) -> bool:
        self._discover()
        known = isinstance(name, str) and name in self._members
        return known or (isinstance(name, str) and name in self._deferred)

    def __iter__(self) -> Iterator[str]:
        """Names in the order in which they were added."""
        self._discover()
        return iter([*self._members, *(n for n in self._deferred if n not in self._members)])

    def __len__(self) -> int:
        self._discover()
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"<Register of {self.what}: {', '.join(self._members)}>"

    def _discover(self) -> None:
        if self.home is None or not self._undiscovered:
            return
        home = importlib.import_module(self.home)
        for module in pkgutil.iter_modules(getattr(home, "__path__", ())):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self.home}.{module.name}")
        # Last: neither a failed import nor another thread's look-up meanwhile shall hide members.
        self._undiscovered = False


class TakesNames:
    """Mixin for objects like scikit-learn's, of which parameters are names of a register's members.

    Options of a member can be set, in a grid for instance, where the parameter is still a name:
    it becomes the object, with defaults for the other options.

    Examples
    --------
    >>> from skactprune import Magnitude
    >>> Magnitude(schedule="geometric").set_params(schedule__ratio=0.5)
    Magnitude(schedule=Geometric(ratio=0.5))
    """

    # Names of parameters, and the registers of their values.
    registers: ClassVar[dict[str, Register]] = {}

    def set_params(self, **params: Any) -> Self:
        """Set parameters; with ``<name>__<option>``, options of what a parameter names."""
        for name, register in self.registers.items():
            if any(key.startswith(f"{name}__") for key in params):
                params[name] = register.make(params.get(name, getattr(self, name)))
        super().set_params(**params)  # type: ignore[misc]
        return self


def _title(member: object) -> str:
    return getattr(member, "__name__", None) or repr(member)
