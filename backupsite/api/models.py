"""Who may call the API without a login, and which answers must be given again."""

import hashlib
import secrets

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.identifiers import make_id


def make_key_id() -> str:
    return make_id("key")


class Role(models.TextChoices):
    """Names of the groups that the first migration makes."""

    ADMIN = "admin", _("admin")
    OPERATOR = "operator", _("operator")
    VIEWER = "viewer", _("viewer")


class ApiKey(models.Model):
    """A named key of a program. The key itself is shown once; its SHA-256 is kept (it holds 256 random bits)."""

    id = models.CharField(primary_key=True, max_length=40, default=make_key_id, editable=False)
    name = models.CharField(max_length=200)
    role = models.CharField(max_length=8, choices=Role.choices)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def usable(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    @staticmethod
    def make_secret() -> str:
        return "bks_" + secrets.token_urlsafe(32)

    @staticmethod
    def digest_of(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()


class IdempotencyKey(models.Model):
    """The first answer to a POST that started a job, given again to the same key and body for 24 hours."""

    owner = models.CharField(max_length=64)  # "user:1", "key:key_...", or the public key of an end user
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # SHA-256 of method, path and body
    status = models.PositiveSmallIntegerField(null=True)  # null while the first request is being answered
    location = models.CharField(max_length=512, blank=True)
    body = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="api_idempotency_key_once")]

    def __str__(self) -> str:
        return f"{self.owner} {self.key}"
