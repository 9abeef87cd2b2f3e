"""The bench: Backupsite against the stock tools and django-dbbackup, on one database (`make bench`)."""
