"""What Databases inherit is validated whole and invents no past."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from databases.models import Database, Policy
from databases.services.beat import drift
from databases.services.save_policy import save_policy
from tests.api import make_database

pytestmark = pytest.mark.django_db


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ValidationError) as raised:
        save_policy(values={"schedule": "x", "blackouts": [{}], "retention_days": -1, "compression": "rar"})
    assert set(raised.value.message_dict) == {"schedule", "blackouts", "retention_days", "compression"}
    assert not Policy.objects.exists()


def test_a_changed_schedule_invents_no_past_for_those_who_inherit_it() -> None:
    past = timezone.now() - timedelta(days=9)
    make_database("heir", schedule="inherit", scheduled_since=past)
    make_database("own", schedule="0 3 * * *", scheduled_since=past)
    save_policy(values={"retention_days": 30})
    assert set(Database.objects.values_list("scheduled_since", flat=True)) == {past}
    save_policy(values={"schedule": ["0 1 * * *", "@weekly"]})
    assert Database.objects.get(pk="heir").scheduled_since > past
    assert Database.objects.get(pk="own").scheduled_since == past
    assert drift() == []
