"""How events, channels, rules, mutes and pings are written in JSON."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.api import StrictSerializer
from notifications.links import link_of
from notifications.models import Channel, Delivery, Event, Mute, Ping, Severity
from notifications.services.save_channel import MOST_ADDRESSES, SECURITIES
from notifications.services.save_rule import MOST_GROUP_S


def _texts(length: int, **more: Any) -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(max_length=length), required=False, **more)


class EventSerializer(serializers.Serializer[Event]):
    """Something that happened. Read only."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    severity = serializers.ChoiceField(choices=Severity.choices)
    subject_id = serializers.CharField()
    database_id = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField()
    data = serializers.DictField(  # type: ignore[assignment]  # the metaclass takes fields away
        help_text="Facts, such as `since` and `last_good_at`."
    )
    muted = serializers.SerializerMethodField()
    link = serializers.SerializerMethodField(help_text="Page of the subject; empty without BACKUPSITE_PUBLIC_URL.")
    created_at = serializers.DateTimeField()

    def get_muted(self, event: Event) -> bool:
        return event.muted_by_id is not None

    def get_link(self, event: Event) -> str:
        return link_of(event)


class KindSerializer(serializers.Serializer[Any]):
    """A kind of event."""

    name = serializers.CharField()
    severity = serializers.ChoiceField(choices=Severity.choices)
    description = serializers.CharField()
    good_news = serializers.BooleanField(help_text="Ends something bad: goes out whatever severity a rule asks for.")


class TargetStateSerializer(serializers.Serializer[Any]):
    """Whether messages arrive."""

    last_ok_at = serializers.DateTimeField(allow_null=True)
    failing_since = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField()


class ChannelSerializer(StrictSerializer):
    """Which fields there are depends on the kind; another kind's are refused. Secrets are only written."""

    id = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(choices=Channel.Kind.choices, help_text="Cannot change.")
    enabled = serializers.BooleanField(required=False)
    host = serializers.CharField(max_length=255, required=False, help_text="email: the SMTP server.")
    port = serializers.IntegerField(min_value=1, max_value=65535, required=False, help_text="email: 587 by default.")
    security = serializers.ChoiceField(choices=SECURITIES, required=False, help_text="email: `starttls` by default.")
    username = serializers.CharField(max_length=255, required=False, allow_blank=True, help_text="email")
    password = serializers.CharField(
        max_length=1024, required=False, allow_blank=True, write_only=True, trim_whitespace=False, help_text="email"
    )
    sender = serializers.CharField(max_length=320, required=False, help_text="email: the address it comes from.")
    recipients = _texts(320, max_length=MOST_ADDRESSES, help_text="email")
    url = serializers.CharField(max_length=2048, required=False, write_only=True, help_text="webhook")
    secret = serializers.CharField(
        max_length=200, required=False, write_only=True, help_text="webhook: `whsec_…`; one is made when none is given."
    )
    urls = _texts(2048, max_length=MOST_ADDRESSES, write_only=True, help_text="apprise: addresses as it writes them.")
    secrets_set = serializers.ListField(
        child=serializers.CharField(), source="secret_names", read_only=True, help_text="Names of secrets that are set."
    )
    place = serializers.CharField(read_only=True, help_text="Where messages go, without what is secret in it.")
    state = TargetStateSerializer(source="*", read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def validate_kind(self, given: str) -> str:
        if self.instance is not None and given != self.instance.kind:
            raise serializers.ValidationError("The kind of a channel cannot change.")
        return given

    def to_representation(self, instance: Channel) -> dict[str, Any]:
        return dict(super().to_representation(_Flat(instance)))


class _Flat:
    """A channel whose settings read as its own attributes."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        settings = self._channel.settings
        if name in settings:
            return settings[name]
        return getattr(self._channel, name)


class NewChannelSerializer(ChannelSerializer):
    signing_secret = serializers.CharField(
        read_only=True, required=False, help_text="webhook: shown now and never again."
    )


class SecretSerializer(serializers.Serializer[Any]):
    signing_secret = serializers.CharField(help_text="Shown now and never again.")


class TestReportSerializer(serializers.Serializer[Any]):
    """What came of a test."""

    ok = serializers.BooleanField()
    latency_ms = serializers.FloatField()
    error = serializers.CharField()
    code = serializers.CharField()
    hint = serializers.CharField()


class DeliverySerializer(serializers.Serializer[Delivery]):
    """A message on its way."""

    message_id = serializers.CharField(help_text="`webhook-id` of a webhook; the same at every attempt.")
    state = serializers.ChoiceField(choices=Delivery.State.choices)
    signal = serializers.CharField(help_text="Of a ping: start, ok or fail.")
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField()


class RuleSerializer(StrictSerializer):
    id = serializers.CharField(read_only=True)
    channel_id = serializers.CharField(max_length=40)
    kinds = _texts(63, max_length=100, help_text="Such as `backup.failed`, `drill.*` or `*`.")
    min_severity = serializers.ChoiceField(choices=Severity.choices, required=False)
    databases = _texts(63, max_length=10_000, help_text="Ids; empty for all, and for events of no Database.")
    group_s = serializers.IntegerField(
        min_value=0, max_value=MOST_GROUP_S, required=False, help_text="Events of so many seconds become one message."
    )
    created_at = serializers.DateTimeField(read_only=True)

    def validate_channel_id(self, given: str) -> str:
        if not Channel.objects.filter(pk=given).exists():
            raise serializers.ValidationError("There is no such channel.")
        return given


class MuteSerializer(StrictSerializer):
    id = serializers.CharField(read_only=True)
    scope = serializers.ChoiceField(choices=Mute.Scope.choices)
    database_id = serializers.CharField(max_length=63, required=False, help_text="With the scope `database`.")
    kinds = _texts(63, max_length=100, help_text="With the scope `kind`.")
    until = serializers.DateTimeField()
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True)
    created_by = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(read_only=True)

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_created_by(self, row: Mute) -> str | None:
        return row.created_by.get_username() if row.created_by else None


class PingSerializer(StrictSerializer):
    id = serializers.CharField(read_only=True)
    database_id = serializers.CharField(max_length=63)
    url = serializers.CharField(max_length=2048, write_only=True, help_text="Asked after every good backup.")
    enabled = serializers.BooleanField(required=False)
    start_and_fail = serializers.BooleanField(required=False, help_text="Also `<url>/start` and `<url>/fail`.")
    place = serializers.CharField(read_only=True)
    state = TargetStateSerializer(source="*", read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def validate_database_id(self, given: str) -> str:
        if isinstance(self.instance, Ping) and given != self.instance.database_id:
            raise serializers.ValidationError("The Database of a ping cannot change.")
        return given
