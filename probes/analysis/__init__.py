"""What stored numbers mean: pure functions over the results of queries."""
