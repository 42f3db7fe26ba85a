"""Rings for a dispatch now, so that "probe now" need not wait for beat's next turn.

Place in the data's way: after ``schedule.request_probe``. Knows the task by name only, so that
pages and routes do not import the tasks, and the application itself, since a web process has no
other reason to load it and Celery's default one knows no settings.
"""

from __future__ import annotations

import logging

from kombu.exceptions import OperationalError

from netadmin.celery import app

logger = logging.getLogger(__name__)


def ring() -> bool:
    """Ask for a dispatch; False where no broker hears, and beat's next turn will do it.

    Asks once: Celery's own connections try for six seconds, in which a person waits for the page.
    """
    once = app.conf.broker_transport_options | {"max_retries": 0}
    try:
        with app.connection_for_write(connect_timeout=2, transport_options=once) as broker:
            app.send_task("probes.tasks.dispatch", expires=30, retry=False, connection=broker)
    except OperationalError:
        logger.warning("the broker does not answer; the next scheduled dispatch will probe")
        return False
    return True
