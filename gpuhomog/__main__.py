"""`python -m gpuhomog`: the command line."""

from .cli import main

main()
