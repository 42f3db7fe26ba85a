"""Sources of hosts: reading, planning and synchronising."""
