"""Entry point of the `ai8xc` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from ai8xc.cli.main import cli

    cli()


if __name__ == "__main__":
    main()
