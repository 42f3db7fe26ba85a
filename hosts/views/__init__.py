"""Pages about hosts, credentials and host keys. They validate, call and shape."""
