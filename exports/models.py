"""Exports: what end users ask for of their own data, where it comes from, where it lies, and who may fetch it."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from backups.models import Destination, StoredObject
from databases.models import slug
from jobs.fields import EncryptedJSONField
from jobs.models import Job

GIB = 1 << 30


def make_export_id() -> str:
    """A random UUID: nothing about other exports can be learned from one."""
    return str(uuid.uuid4())


class Source(models.Model):
    """Where the data of users is: an operator says how to ask for that of one public key."""

    class Kind(models.TextChoices):
        NOSTR = "nostr", _("Nostr relays")
        HTTP = "http", _("HTTP service")

    id = models.CharField(primary_key=True, max_length=63, validators=[slug])
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    enabled = models.BooleanField(default=True)
    username = models.CharField(max_length=255, blank=True)  # of auth basic
    options = models.JSONField(default=dict, blank=True)  # of the kind, without the secret ones
    secrets = EncryptedJSONField(default=dict, editable=False)  # {"password": ..., "options": {...}}
    secret_names = models.JSONField(default=list, editable=False)  # which secrets are set, to be shown
    managed = models.BooleanField(default=False, editable=False)  # comes from config.yaml
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("source")
        verbose_name_plural = _("sources")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class ExportPolicy(models.Model):
    """What users may ask for, and how long it is kept: one row. 0 is no limit where the help says so."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    enabled = models.BooleanField(default=True, help_text=_("Users may ask for exports."))
    creations_per_hour = models.PositiveIntegerField(
        default=10,
        validators=[MinValueValidator(1)],
        help_text=_("Exports that one public key, and one client address, may ask for in an hour."),
    )
    queries_per_quarter = models.PositiveIntegerField(
        default=100,
        validators=[MinValueValidator(1)],
        help_text=_("Other requests of one public key, and of one client address, in 15 minutes."),
    )
    max_open = models.PositiveIntegerField(
        default=3, validators=[MinValueValidator(1)], help_text=_("Exports of one user that may wait or run at once.")
    )
    max_bytes = models.BigIntegerField(
        default=5 * GIB,
        validators=[MinValueValidator(0)],
        help_text=_("Stored bytes of all kept exports of one user, and plain bytes of a single one (0: no limit)."),
    )
    link_days = models.PositiveIntegerField(
        default=7,
        validators=[MinValueValidator(1), MaxValueValidator(365)],
        help_text=_("Days that a completed export can be fetched; then it is deleted."),
    )
    kept_days = models.PositiveIntegerField(
        default=90, help_text=_("Forget ended exports, without their data, after so many days (0: never).")
    )
    redirect_to_store = models.BooleanField(
        default=False, help_text=_("Send who fetches an export to the S3 store itself, by a link for one minute.")
    )
    destination = models.ForeignKey(
        Destination, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )  # null = the default one
    managed = models.BooleanField(default=False, editable=False)  # comes from config.yaml
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "export policy"

    def __str__(self) -> str:
        return "the policy of exports"


class Export(Job):
    """One run that gathered the data of one user into one zip, or failed to."""

    kind = "export"

    class Type(models.TextChoices):
        FULL = "full", _("full")
        INCREMENTAL = "incremental", _("incremental")
        SELECTIVE = "selective", _("selective")

    id = models.CharField(primary_key=True, max_length=40, default=make_export_id, editable=False)
    pubkey = models.CharField(max_length=64)  # whose data: 32 bytes, lower-case hex
    type = models.CharField(max_length=11, choices=Type.choices, default=Type.FULL)
    select = models.JSONField(default=list, blank=True)  # collections of a selective one
    parent = models.ForeignKey(  # what an incremental continues
        "self", null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="children"
    )
    recipients = models.JSONField(default=list, blank=True)  # public keys: who can open it; none = whoever has it
    metadata = models.JSONField(default=dict, blank=True)  # as the user gave it
    size = models.BigIntegerField(null=True, blank=True)  # stored bytes
    original_size = models.BigIntegerField(null=True, blank=True)  # of all files inside
    file_count = models.PositiveIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    manifest = models.JSONField(default=dict, blank=True)  # index.json, and what an incremental continues from
    expires_at = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="exports_newest"),
            models.Index(fields=["pubkey", "-created_at", "-id"], name="exports_newest_of_user"),
        ]


class ExportObject(StoredObject):
    """The zip of an export at a destination."""

    export = models.ForeignKey(Export, on_delete=models.PROTECT, related_name="objects_stored")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["export", "attempt"], name="exports_object_once_per_attempt")]


class ExportLink(models.Model):
    """A way to fetch an export without signing in. The token itself is nowhere: see services/links.py."""

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="links")
    nonce = models.CharField(max_length=64)  # 256 random bits, hex; worthless without the site's key
    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of the token
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    uses = models.PositiveIntegerField(default=0)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["export"], condition=models.Q(revoked_at=None), name="exports_one_link_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"link of {self.export_id}"


class SeenEvent(models.Model):
    """A signed event that let somebody in once, remembered until it would be too old anyway."""

    id = models.CharField(primary_key=True, max_length=64)
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.id
