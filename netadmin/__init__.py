"""netadmin: what is, and was, connected to every server of a team."""

__version__ = "0.1.0"
