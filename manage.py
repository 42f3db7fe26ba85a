#!/usr/bin/env python3
"""The one entry: ``up`` starts a site, ``test`` runs the suite, the rest is Django's manage.py.

This file must stay readable to old Pythons, so that they can say what is missing.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - it is for those who start it with an older one
    sys.exit(
        "netadmin needs Python 3.11 or newer, and this is Python {}.{}: "
        "start it with a newer one, such as `python3.11 manage.py up`.".format(*sys.version_info)
    )

if __name__ == "__main__":
    from netadmin import bootstrap

    sys.exit(bootstrap.main(sys.argv))
