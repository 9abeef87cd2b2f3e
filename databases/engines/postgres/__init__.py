"""PostgreSQL 14 to 18 through pg_dump, pg_restore and psql."""
