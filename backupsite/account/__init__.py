"""One's own account, and the ways to log in: pages for people, beside the admin's."""
