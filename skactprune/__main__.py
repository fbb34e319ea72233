"""``python -m skactprune``."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from skactprune._cli.errors import UserError
from skactprune._cli.text import shown, silence

if TYPE_CHECKING:
    from collections.abc import Sequence

EXTRAS = ("matplotlib", "pandas", "rich")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; None takes those of the program.

    Returns
    -------
    int
        Exit code: 0, 2 for what the user can put right, 130 after an interrupt, 141 where nobody
        reads the output any more.
    """
    try:
        # Imports take seconds, in which there may be an interrupt, too.
        from skactprune._cli.arguments import parse

        args = parse(argv)
        if missing := [name for name in EXTRAS if importlib.util.find_spec(name) is None]:
            raise UserError(f"compare needs {', '.join(missing)}: pip install skactprune[compare]")
        from skactprune._cli.compare import compare

        compare(args)
    except UserError as error:
        print(shown(f"skactprune: error: {error}"), file=sys.stderr)
        return 2
    except BrokenPipeError:
        silence(sys.stdout)
        return 141
    except KeyboardInterrupt:
        print("skactprune: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
