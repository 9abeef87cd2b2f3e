"""Events, who is told of which, and the outbox of messages on their way.

An event is written in the transaction of what it tells of; everything else about it happens afterwards.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from jobs.fields import EncryptedJSONField, unseal
from jobs.identifiers import make_id


def make_channel_id() -> str:
    return make_id("chn")


def make_rule_id() -> str:
    return make_id("rul")


def make_mute_id() -> str:
    return make_id("mut")


def make_ping_id() -> str:
    return make_id("png")


def make_message_id() -> str:
    return make_id("msg")


def every_kind() -> list[str]:
    return ["*"]


class Severity(models.TextChoices):
    INFO = "info", _("info")
    WARNING = "warning", _("warning")
    ERROR = "error", _("error")

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class Target(models.Model):
    """Where messages go, and whether they arrive."""

    event_family: ClassVar[str]

    enabled = models.BooleanField(_("enabled"), default=True)
    last_ok_at = models.DateTimeField(null=True, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    failing_told = models.BooleanField(default=False, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Channel(Target):
    """A way to reach somebody. `settings` may be shown; `secrets` (passwords, addresses that are keys) may not."""

    event_family = "channel"

    class Kind(models.TextChoices):
        EMAIL = "email", _("E-mail")
        WEBHOOK = "webhook", _("Webhook")
        APPRISE = "apprise", _("Chats and pagers (Apprise)")

    id = models.CharField(primary_key=True, max_length=40, default=make_channel_id, editable=False)
    name = models.CharField(_("name"), max_length=200)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    settings = models.JSONField(default=dict, blank=True)
    secrets = EncryptedJSONField(default=dict)
    secret_names = models.JSONField(default=list, editable=False)

    class Meta:
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Ping(Target):
    """An address that is asked whenever a Database was backed up; who listens there tells when it stays silent."""

    event_family = "ping"

    id = models.CharField(primary_key=True, max_length=40, default=make_ping_id, editable=False)
    database_id = models.CharField(_("Database"), max_length=63, unique=True)
    url = EncryptedJSONField()
    place = models.CharField(max_length=300, editable=False)
    start_and_fail = models.BooleanField(
        _("tell of starts and failures"), default=True, help_text=_("At <address>/start and <address>/fail.")
    )

    class Meta:
        verbose_name = _("ping")
        verbose_name_plural = _("pings")
        ordering = ["database_id"]

    def __str__(self) -> str:
        return self.database_id

    def open_url(self) -> str:
        return str(unseal(self.url))


class Rule(models.Model):
    """Which events go to a channel. Those of `group_s` seconds become one message."""

    id = models.CharField(primary_key=True, max_length=40, default=make_rule_id, editable=False)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="rules", verbose_name=_("channel"))
    kinds = models.JSONField(_("kinds"), default=every_kind)
    min_severity = models.CharField(_("severity"), max_length=7, choices=Severity.choices, default=Severity.WARNING)
    databases = models.JSONField(_("Databases"), default=list, blank=True)  # ids; empty: all, and what has none
    group_s = models.PositiveIntegerField(_("seconds to collect"), default=60)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return gettext("every event") if self.kinds == every_kind() else ", ".join(self.kinds)


class Mute(models.Model):
    """Until `until`, events of this scope are recorded and told to nobody."""

    class Scope(models.TextChoices):
        ALL = "all", _("everything")
        DATABASE = "database", _("one Database")
        KIND = "kind", _("some kinds")

    id = models.CharField(primary_key=True, max_length=40, default=make_mute_id, editable=False)
    scope = models.CharField(_("scope"), max_length=8, choices=Scope.choices)
    database_id = models.CharField(_("Database"), max_length=63, blank=True)
    kinds = models.JSONField(_("kinds"), default=list, blank=True)
    until = models.DateTimeField(_("until"), db_index=True)
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("mute")
        verbose_name_plural = _("mutes")
        ordering = ["-until", "id"]

    def __str__(self) -> str:
        return self.database_id or ", ".join(self.kinds) or str(self.get_scope_display())


class Event(models.Model):
    """Something an operator may want to know: `kind` is a word of the catalogue, such as `backup.failed`."""

    kind = models.CharField(_("kind"), max_length=63, db_index=True)
    severity = models.CharField(_("severity"), max_length=7, choices=Severity.choices)
    subject_id = models.CharField(max_length=63)
    database_id = models.CharField(_("Database"), max_length=63, blank=True, db_index=True)
    message = models.TextField(_("message"))
    hint = models.TextField(_("hint"), blank=True)
    data = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(_("time"), default=timezone.now, db_index=True)
    routed_at = models.DateTimeField(null=True, blank=True, editable=False)  # when it was decided who is told
    muted_by = models.ForeignKey(Mute, null=True, blank=True, on_delete=models.SET_NULL, related_name="events")

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(routed_at__isnull=True), name="notifications_unrouted")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id}"


class Delivery(models.Model):
    """One message to one target. Whoever holds `lease_token` sends it; `message_id` is the same at every attempt."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")
        DROPPED = "dropped", _("dropped")

    class Signal(models.TextChoices):
        START = "start", _("started")
        OK = "ok", _("completed")
        FAIL = "fail", _("failed")

    message_id = models.CharField(max_length=40, unique=True, default=make_message_id, editable=False)
    channel = models.ForeignKey(Channel, null=True, on_delete=models.CASCADE, related_name="deliveries")
    ping = models.ForeignKey(Ping, null=True, on_delete=models.CASCADE, related_name="deliveries")
    rule = models.ForeignKey(Rule, null=True, on_delete=models.SET_NULL, related_name="deliveries")
    signal = models.CharField(max_length=5, choices=Signal.choices, blank=True)
    events = models.ManyToManyField(Event, related_name="deliveries")
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING, db_index=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    lease_token = models.UUIDField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    ended_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(channel__isnull=False, ping__isnull=True)
                | models.Q(channel__isnull=True, ping__isnull=False),
                name="notifications_delivery_one_target",
            )
        ]

    def __str__(self) -> str:
        return self.message_id
