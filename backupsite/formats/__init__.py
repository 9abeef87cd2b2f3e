"""Numbers are written alike in every language: sizes and times on a page are those of logs, commands and the API."""
