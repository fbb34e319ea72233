"""What a user can put right."""


class UserError(Exception):
    """Its message is one line for the user; the program then ends with exit code 2."""
