"""``python -m skrgvae``: the command line without the installed script."""

import sys

from skrgvae.cli import main

sys.exit(main())
