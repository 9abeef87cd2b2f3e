"""Settings of the sites that tests start: the product's own, with a quick hash, which proves nothing less."""

from backupsite.settings import *  # noqa: F403 - all of them

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
