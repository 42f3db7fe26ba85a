"""What is watched: ports against their history, thresholds, probes themselves, new peers.

Place in the data's way: called by ``probes.work`` through :mod:`probes.watch.judging` in the
transaction that stores a snapshot. ``ports`` and ``rules`` are pure; ``lifecycle`` alone writes
changes and alerts.
"""
