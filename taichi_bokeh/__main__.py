"""``python -m taichi_bokeh``: the command line."""

import sys

from taichi_bokeh.apps.cli import main

sys.exit(main())
