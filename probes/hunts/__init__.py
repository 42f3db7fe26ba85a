"""Saved hunts: kept, run over new data, and told by mail where they hit.

Place in the data's way: above the queries, below the pages, the JSON routes and the task.
"""
