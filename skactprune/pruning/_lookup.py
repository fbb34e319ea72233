"""One way to say that a name is unknown."""


def look_up(value, register, what):
    """Return ``register[value]`` for a string, `value` itself otherwise.

    Parameters
    ----------
    value : object
        A name in the register, or the object itself.
    register : dict of str to object
        What the names stand for.
    what : str
        Name of the parameter, for the error message.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If `value` is a string that the register lacks; the message lists the names.
    TypeError
        If `value` is a class, not an object of it.
    """
    if isinstance(value, type):
        raise TypeError(f"{what}={value!r} must be an object: {value.__name__}(...).")
    if not isinstance(value, str):
        return value
    if value not in register:
        names = ", ".join(repr(name) for name in sorted(register))
        raise ValueError(f"{what}={value!r} is unknown. Known names: {names}.")
    return register[value]
