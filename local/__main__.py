"""`python -m local` is `streams dev` on this repository's functions."""

import sys

from streams.cli import main

sys.argv[1:] = ["dev", *(sys.argv[1:] or ["functions"])]
main()
