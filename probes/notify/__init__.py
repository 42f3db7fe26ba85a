"""Tells people what happened: who is told, what, and how it reaches them at least once.

Place in the data's way: after ``probes.watch.lifecycle``, whose changes it reads. ``outbox`` and
``follow_up`` decide (``deciding`` and ``ends`` with the pure ``routing`` and ``damping``;
``standing`` says what is due) and write deliveries, ``messages`` freezes their words, ``sending``
sends them over ``mailing``, ``webhook`` and ``team_chat``. Rung by two beat entries; the database
owns all of it.
"""
