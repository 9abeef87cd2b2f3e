"""Texts of MongoDB's server, tools and driver that are understood, and what an operator can do about them."""

import re

from databases.engines.process import Known

# MongoDB quotes values in these; the rest of the line is data.
ROWS = re.compile(r"(?m)(dup key:|[Dd]ocument failed validation)[^\n]*(?:\n|\Z)")

# The first that matches counts: a failed handshake is also reported as a server that could not be selected.
KNOWN = (
    Known(
        ("authentication failed", "auth error", "could not find user"),
        "wrong_password",
        True,
        "Check the user name, the password, and auth_source: the database that holds the user.",
    ),
    Known(
        ("not authorized", "requires authentication", "unauthorized", "not allowed to do action"),
        "permission",
        True,
        "The user lacks rights: read on the database to back up and readWrite to restore; of all databases, or with "
        "time series, the roles backup and restore.",
    ),
    Known(
        (
            *("x509:", "tls:", "certificate verify failed", "certificate_verify_failed", "ssl handshake", "[ssl"),
            *("certificate is not valid", "hostname mismatch", "wrong version number", "unable to load ca"),
        ),
        "tls",
        True,
        "Check the option tls, the authority's certificate (ca) and the client's certificate and key.",
    ),
    Known(
        ("replicasetname", "replica set name", "no replica set members match", "setname"),
        "wrong_replica_set",
        True,
        "Check the option replica_set: the server belongs to another set, or to none.",
    ),
    Known(
        ("oplog overflow", "oplog rollover"),
        "oplog_overflow",
        False,
        "The oplog was overwritten during the dump: enlarge it (replSetResizeOplog), or back up at a quieter time.",
    ),
    Known(
        ("name or service not known", "no such host", "name resolution", "getaddrinfo", "dns query name", "lookup "),
        "unreachable",
        False,
        "The host name does not resolve: check its spelling and the DNS.",
    ),
    Known(
        ("not primary", "notwritableprimary", "node is recovering"),
        "not_primary",
        False,
        "This member takes no writes now: name the replica set, so that its primary is found.",
    ),
    Known(
        ("e11000", "duplicate key"),
        "conflict",
        True,
        "The target holds documents, or unique indexes, that these conflict with.",
    ),
    Known(
        ("failed validation", "documentvalidationfailure"),
        "conflict",
        True,
        "Documents of the backup break the collection's own validator: mongorestore can --bypassDocumentValidation.",
    ),
    Known(
        ("demultiplexing archive", "archive io error", "corruption found in archive", "stream or file does not appear"),
        "structure",
        False,
        "The archive is damaged: verify the backup.",
    ),
    Known(("no space left", "outofdiskspace", "disk full"), "no_space", False, "The MongoDB server's disk is full."),
    Known(
        (
            *(
                "server selection",
                "no servers found",
                "connection refused",
                "connect call failed",
                "no reachable servers",
                "no route to host",
            ),
            *("timed out", "i/o timeout", "deadline exceeded", "no primary"),
        ),
        "unreachable",
        False,
        "Check host and port, that the server runs and listens there, and the firewall.",
    ),
    Known(
        (
            "connection closed",
            "connection reset",
            "unexpectedly closed",
            "broken pipe",
            "shutdown in progress",
            ": eof",
        ),
        "connection_lost",
        False,
        "The server ended the connection: see its log.",
    ),
    Known(
        ("cursornotfound", "cursor not found", "cursor id", "collection dropped", "queryplankilled"),
        "changed",
        False,
        "A collection was dropped or its cursor lost while it was read: it is tried again.",
    ),
)
