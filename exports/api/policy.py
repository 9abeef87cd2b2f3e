"""How the policy of exports is shown and changed."""

from rest_framework import serializers

from jobs.api import StrictSerializer

MOST = 1_000_000
MOST_BYTES = (1 << 63) - 1


def _count(help_text: str, *, least: int = 1, most: int = MOST) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=least, max_value=most, required=False, help_text=help_text)


class ExportPolicySerializer(StrictSerializer):
    enabled = serializers.BooleanField(required=False, help_text="Users may ask for exports.")
    creations_per_hour = _count("Of one public key, and of one client address.")
    queries_per_quarter = _count("Other requests of one public key, and of one client address, in 15 minutes.")
    max_open = _count("Exports of one user that may wait or run at once.")
    max_bytes = _count(
        "Stored bytes of one user's exports, and plain bytes of one; 0: no limit.", least=0, most=MOST_BYTES
    )
    link_days = _count("Days that a completed export can be fetched; then it is deleted.", most=365)
    kept_days = _count("Ended exports, without their data, are forgotten after so many days; 0: never.", least=0)
    redirect_to_store = serializers.BooleanField(
        required=False, help_text="Who fetches an export is sent to the S3 store itself, by a link for one minute."
    )
    destination = serializers.CharField(
        source="destination_id", max_length=63, allow_null=True, required=False, help_text="Null: the default one."
    )
    managed = serializers.BooleanField(read_only=True, help_text="Comes from the configuration file.")
    updated_at = serializers.DateTimeField(read_only=True, allow_null=True)
