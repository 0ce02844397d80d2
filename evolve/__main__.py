"""`python -m evolve` is the `evolve` command."""

from evolve.cli.main import main

main()
