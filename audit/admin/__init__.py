"""The audit in the admin: a list to search, and the page of an entry."""

from audit.admin import entries  # noqa: F401  the import registers the page
