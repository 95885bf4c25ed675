"""`python -m gapkit` is `gapkit`."""

from gapkit.cli import main

main()
