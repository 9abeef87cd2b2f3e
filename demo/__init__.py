"""The demo: a sample shop out of PostgreSQL and back, through a running Backupsite (`make demo`)."""
