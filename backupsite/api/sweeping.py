"""The API's own rows that have outlived their use are removed by the sweeper."""

from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from backupsite.api.idempotency import forget_old_keys
from jobs.registry import register_sweep_step
from jobs.services.quota import forget_old_quotas


def register() -> None:
    register_sweep_step("idempotency_keys", forget_old_keys)
    register_sweep_step("quotas", forget_old_quotas)
    register_sweep_step("refresh_tokens", forget_expired_tokens)


def forget_expired_tokens() -> int:
    return OutstandingToken.objects.filter(expires_at__lt=timezone.now()).delete()[0]
