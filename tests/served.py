"""Settings of the sites that tests start: the product's own, with a quick hash for new passwords."""

from django.conf import global_settings

from backupsite.settings import *  # noqa: F403 - all of them

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *global_settings.PASSWORD_HASHERS]
