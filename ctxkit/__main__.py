"""``python -m ctxkit`` is ``ctxkit``."""

from __future__ import annotations

import sys

from ctxkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
