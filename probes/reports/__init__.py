"""The network report: composed, laid out, written down, and mailed on a schedule.

Place in the data's way: above the queries, below the page, the JSON route and the task.
"""
