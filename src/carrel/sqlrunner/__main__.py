"""`python -m carrel.sqlrunner`: what the image or toolchain `sqlrunner:v1` starts."""

import sys

from carrel.sqlrunner.main import main

sys.exit(main())
