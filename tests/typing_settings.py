"""Settings for mypy's Django plugin, which imports them: the real ones, without real secrets."""

import os

os.environ.setdefault("SECRET_KEY", "only-for-type-checking")
os.environ.setdefault("FIELD_ENCRYPTION_KEYS", "t1:" + "A" * 43 + "=")

from netadmin.settings import *  # noqa: F403
