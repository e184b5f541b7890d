"""`python -m supportbench` is the `supportbench` command."""

from supportbench.cli import main

main()
