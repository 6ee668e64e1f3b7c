"""``python -m syneff``: the `syneff` command."""

import sys

from syneff.app import main

sys.exit(main())
