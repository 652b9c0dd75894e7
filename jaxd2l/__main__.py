"""`python -m jaxd2l` is `jaxd2l`."""

import sys

from jaxd2l.cli import main

sys.exit(main())
