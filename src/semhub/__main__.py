"""`python -m semhub` is `semhub`."""

from semhub.cli import main

main()
