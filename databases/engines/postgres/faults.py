"""Texts of PostgreSQL's server and tools that are understood, and what an operator can do about them."""

import re

from databases.engines.process import Known

# PostgreSQL quotes rows in these; everything up to the message's next field is data.
ROWS = re.compile(
    r"(?ms)^(CONTEXT:\s+COPY [^\n]*?, line \d+(?:, column [^\n:]*)?:|DETAIL:\s+Key \([^\n]*?\)=|"
    r"DETAIL:\s+Failing row contains).*?(?=^(?:CONTEXT|HINT|LINE|psql):|\Z)"
)

KNOWN = (
    Known(
        ("backupsite: masking",),
        "masking_failed",
        True,
        "Nothing was restored. Correct the target's masking rules, or what they stand against.",
    ),
    Known(
        ("password authentication failed", "no password supplied"),
        "wrong_password",
        True,
        "Check the user name and the password.",
    ),
    Known(
        ("no pg_hba.conf entry", "pg_hba.conf rejects"),
        "not_allowed",
        True,
        "Allow this host, user and database in the server's pg_hba.conf, or turn TLS on.",
    ),
    Known(("too many connections", "remaining connection slots"), "busy", False, "Raise max_connections or wait."),
    Known(("the database system is starting up", "is shutting down", "recovery mode"), "busy", False, "Try again."),
    Known(
        ("root certificate", "certificate verify failed", "ssl error", "does not support ssl", "private key file"),
        "tls",
        True,
        "Check sslmode, the authority's certificate (sslrootcert) and the client's certificate and key.",
    ),
    Known(
        ("connection refused", "could not connect", "no route to host", "timeout expired", "timed out"),
        "unreachable",
        False,
        "Check host and port, that the server runs and listens there, and the firewall.",
    ),
    Known(
        ("could not translate host name", "name or service not known", "name resolution"),
        "unreachable",
        False,
        "The host name does not resolve: check its spelling and the DNS.",
    ),
    Known(
        ("row-level security", "row security"),
        "permission",
        True,
        "Row security hides rows from this user: give it BYPASSRLS.",
    ),
    Known(
        ("permission denied", "must be owner", "must be superuser", "must be able to set role"),
        "permission",
        True,
        "The user lacks rights. For a backup: GRANT pg_read_all_data TO the user, and EXECUTE where named.",
    ),
    Known(
        ("canceling statement due to lock timeout", "lock table", "could not obtain lock"),
        "lock_timeout",
        False,
        "Another session holds a lock on a table for long; find it in pg_locks and pg_stat_activity.",
    ),
    Known(
        ("server version mismatch", "unsupported version", "aborting because of"),
        "client_too_old",
        True,
        "Install PostgreSQL client tools at least as new as the server.",
    ),
    Known(
        ("invalid command \\restrict", "invalid command \\unrestrict"),
        "client_too_old",
        True,
        "This dump needs a psql of August 2025 or newer (14.19, 15.14, 16.10, 17.6, 18).",
    ),
    Known(
        ("no matching tables were found", "no matching schemas were found"),
        "nothing_matches",
        True,
        "Check the names and patterns of tables and schemas.",
    ),
    Known(("no space left", "disk full"), "no_space", False, "The PostgreSQL server's disk is full."),
    Known(
        ("out of shared memory",),
        "out_of_locks",
        True,
        "Raise max_locks_per_transaction on the server.",
    ),
    Known(
        ("terminating connection", "server closed the connection", "connection to server was lost"),
        "connection_lost",
        False,
        "The server ended the connection: see its log.",
    ),
    Known(
        ("is not available", "could not open extension control file"),
        "extension_missing",
        True,
        "Install the extension's package on the target's server.",
    ),
    Known(
        ("could not read from input file", "did not find magic string", "corrupt", "unexpected end of file"),
        "structure",
        False,
        "The archive is damaged: verify the backup.",
    ),
)

DATABASE_MISSING = Known(
    ("does not exist",), "database_missing", True, "Create the database, or correct database_name."
)
ROLE_MISSING = Known(("role",), "wrong_password", True, "Check the user name and the password.")
