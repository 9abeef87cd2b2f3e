"""The audit over HTTP, for admins: a list, and all of it as NDJSON."""
