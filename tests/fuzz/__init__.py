"""A coverage-guided search for output that the parsers get wrong.

``python -m tests.fuzz --seconds 600`` by hand; ten seconds of it are part of the suite. Inputs
grow from the fixtures: one that reaches a line, a turn or a kind of row that none reached before
is kept and changed further. What must hold of any input is in ``invariants``.
"""
