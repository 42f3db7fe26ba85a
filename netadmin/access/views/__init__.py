"""Pages about access: login and password, refusals, API tokens, the audit log."""
