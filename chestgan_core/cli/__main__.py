"""`python -m chestgan_core.cli`, which torchrun needs."""

import sys

from chestgan_core.cli.main import main

sys.exit(main())
