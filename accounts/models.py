"""What Django's own User does not know of the one who logs in."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.fields import EncryptedJSONField


class Account(models.Model):
    """One a user, made when there is something to say. The second factor counts once it was confirmed by a code."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="account"
    )
    must_change_password = models.BooleanField(default=False)
    totp_secret = EncryptedJSONField(null=True)
    totp_confirmed_at = models.DateTimeField(null=True)
    totp_last_step = models.BigIntegerField(default=0)  # the newest 30 seconds whose code was used: none twice

    def __str__(self) -> str:
        return str(self.user_id)


class RecoveryCode(models.Model):
    """A code for the day the telephone is lost: used once. It holds 80 random bits, so a plain digest keeps it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True)

    def __str__(self) -> str:
        return self.digest[:8]


class Session(models.Model):
    """A browser that is logged in: Django's session holds what it needs, this row what its user wants to see."""

    class Via(models.TextChoices):
        PASSWORD = "password", _("password")
        OIDC = "oidc", _("single sign-on")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=40, unique=True)
    via = models.CharField(max_length=8, choices=Via.choices, default=Via.PASSWORD)
    address = models.CharField(max_length=63, blank=True)
    agent = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return f"{self.address} {self.created_at:%Y-%m-%d}"


class Identity(models.Model):
    """Who another site says somebody is: its issuer and its word for the person, which never change, unlike names."""

    issuer = models.CharField(max_length=300)
    subject = models.CharField(max_length=255)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identity")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "identities"
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="accounts_identity_once")]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"
