"""Who may see and do what: roles, host groups, API tokens and the audit log."""
