"""Which machines are watched, how to log in to them, and whose host keys are trusted.

This package never imports ``probes``: it ends where a :class:`hosts.target.Target` begins.
"""
