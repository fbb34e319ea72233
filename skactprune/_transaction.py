"""All or nothing: what was begun and failed leaves no trace."""

from contextlib import contextmanager
from functools import wraps


@contextmanager
def transaction(*restores):
    """Context in which an exception, an interrupt too, undoes what was done.

    Parameters
    ----------
    *restores : callable
        Called without arguments, in order, where an exception leaves the context.
    """
    try:
        yield
    except BaseException:
        for restore in restores:
            restore()
        raise


def attributes_of(obj):
    """Function that gives an object back the attributes that it has now.

    Only which objects these are is kept: what changes its attributes in place is not undone.
    """
    before = vars(obj).copy()

    def restore():
        vars(obj).clear()
        vars(obj).update(before)

    return restore


def all_or_nothing(method):
    """Decorator of a method that, where it raises, leaves its object as it was."""

    @wraps(method)
    def method_or_undo(self, *args, **kwargs):
        with transaction(attributes_of(self)):
            return method(self, *args, **kwargs)

    return method_or_undo
