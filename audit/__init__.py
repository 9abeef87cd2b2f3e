"""Who did what, from where: rows that are written once."""
