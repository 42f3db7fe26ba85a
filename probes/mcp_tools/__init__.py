"""What assistants may ask, by the Model Context Protocol: an entry, as the JSON routes are.

Place in the data's way: beside ``probes.api`` and above ``probes.tools`` and
``probes.history.queries``. ``declared`` says what a tool is, ``catalogue`` lists them;
``one_host``, ``fleet`` and ``acting`` answer; ``calling`` runs one for whoever asks, and
``answers`` makes what comes out fit for a model's context; ``resources`` are hosts and snapshots by
address. ``server`` speaks the protocol through its own SDK: over HTTP (``http``, ``exchange``), and
over standard input and output (the command ``mcp``).
"""
