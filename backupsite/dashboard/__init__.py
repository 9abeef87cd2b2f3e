"""Numbers for the operators' first page: what is safe, what is not, what runs, what comes; in a few indexed queries."""
