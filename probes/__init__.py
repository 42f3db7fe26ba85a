"""What is run on hosts, what it printed, and the history kept of it."""
