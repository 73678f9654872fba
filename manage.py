#!/usr/bin/env python3
"""`python manage.py COMMAND`: the same as `carrel manage COMMAND`."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carrel.web.settings")
    from django.core.management import execute_from_command_line

    from carrel.units.privacy import close_to_others

    close_to_others()
    execute_from_command_line(sys.argv)
