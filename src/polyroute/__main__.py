"""`python -m polyroute` is the command `polyroute`."""

from polyroute.cli.main import main

main()
