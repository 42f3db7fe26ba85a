"""What scripts and assistants ask: each question once, whoever shapes the answer.

Place in the data's way: between the entries (``probes.api``, ``probes.mcp_tools``, the commands)
and ``probes.work`` and ``probes.history.queries``. Called with the request that says who asks, and
with validated values; returns ``(data, message)`` of the one envelope, or raises
``netadmin.envelope.Refused`` or ``probes.filters.FilterError``. Knows no HTTP and no MCP.
"""
