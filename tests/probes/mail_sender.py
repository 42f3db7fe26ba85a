"""A worker process that mails what is due: ``python -m tests.probes.mail_sender``.

Its database and mail server are those of its environment; a test kills it half-way.
"""

from __future__ import annotations

import django


def main() -> None:
    """Send once and end."""
    django.setup()
    from probes.reports import sending as mailed_reports

    mailed_reports.send_due()


if __name__ == "__main__":
    main()
