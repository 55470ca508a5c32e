"""Entry point of the `ai8xc` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; leave with 70 after a mistake of ours, so that scripts can tell."""
    from ai8xc.cli.main import cli

    try:
        cli()
    except Exception:
        import traceback

        from ai8xc.cli.common import INTERNAL

        traceback.print_exc()
        print("internal error: this is a mistake of ai8xc, please report it", file=sys.stderr)
        sys.exit(INTERNAL)


if __name__ == "__main__":
    main()
