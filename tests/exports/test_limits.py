"""How often users may ask: by address and by key, however many ask at once."""

import secrets
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from accounts.addresses import network_of
from exports.models import Export
from exports.services.save_policy import save_export_policy
from jobs.models import Quota
from jobs.services.quota import Limit, forget_old_quotas, subject_of, take
from tests.exports.signing import User, code_of

LIST = "/api/backup"
HOUR = timedelta(hours=1)


def figures(answer: Any) -> tuple[int, int]:
    return int(answer.headers["RateLimit-Limit"]), int(answer.headers["RateLimit-Remaining"])


def ask(user: User, **more: Any) -> Any:
    return user.post(LIST, {"backupType": "full"}, **more)


def later(seconds: float) -> None:
    """As if so much time had passed."""
    for row in Quota.objects.all():
        row.window_ends_at -= timedelta(seconds=seconds)
        row.save()


@pytest.mark.django_db
@pytest.mark.usefixtures("offered")
def test_creations_of_a_key_are_counted_whatever_address_they_come_from() -> None:
    save_export_policy(values={"creations_per_hour": 3, "max_open": 100})
    for number in range(3):
        answer = ask(User(), REMOTE_ADDR=f"192.0.2.{number}")
        assert (answer.status_code, figures(answer)) == (201, (3, 2 - number))
        assert 3590 <= int(answer.headers["RateLimit-Reset"]) <= 3600
    refused = ask(User(), REMOTE_ADDR="192.0.2.77")
    assert code_of(refused) == (429, "throttled")
    assert figures(refused) == (3, 0)
    assert 3590 <= int(refused.headers["Retry-After"]) <= 3600
    assert ask(User("bob"), REMOTE_ADDR="192.0.2.99").status_code == 201
    assert User().get(LIST).status_code == 200  # queries are another count
    later(3601)
    assert ask(User()).status_code == 201


@pytest.mark.django_db
@pytest.mark.usefixtures("offered")
def test_creations_of_an_address_are_counted_whosever_they_are() -> None:
    save_export_policy(values={"creations_per_hour": 3, "max_open": 100})
    assert [ask(User(f"user {number}")).status_code for number in range(4)] == [201, 201, 201, 429]
    assert ask(User("another"), REMOTE_ADDR="192.0.2.1").status_code == 201


@pytest.mark.django_db
@pytest.mark.usefixtures("origin")
def test_queries_are_counted_in_quarters_of_an_hour() -> None:
    save_export_policy(values={"queries_per_quarter": 2})
    ada = User()
    first = ada.get(LIST)
    assert (first.status_code, figures(first)) == (200, (2, 1))
    assert 890 <= int(first.headers["RateLimit-Reset"]) <= 900
    assert ada.get(f"{LIST}/{'0' * 8}-0000-0000-0000-{'0' * 12}").status_code == 404
    assert code_of(ada.get(LIST)) == (429, "throttled")
    later(901)
    assert ada.get(LIST).status_code == 200


@pytest.mark.django_db
@pytest.mark.usefixtures("origin")
def test_what_is_not_let_in_counts_against_its_address_and_against_nobody_s_key() -> None:
    save_export_policy(values={"queries_per_quarter": 3})
    ada = User("ada")
    stolen = ada.header("GET", f"{LIST}?limit=1")
    answers = [ada.send("GET", LIST, stolen, REMOTE_ADDR="192.0.2.66") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert answers[-1].headers["Retry-After"]
    assert figures(ada.get(LIST)) == (3, 2)


@pytest.mark.django_db
@pytest.mark.usefixtures("origin")
def test_a_refused_request_does_not_use_its_signature_up() -> None:
    save_export_policy(values={"queries_per_quarter": 1})
    ada = User()
    assert ada.get(LIST).status_code == 200
    header = ada.header("GET", LIST)
    assert ada.send("GET", LIST, header).status_code == 429
    later(901)
    assert ada.send("GET", LIST, header).status_code == 200


@pytest.mark.django_db
@pytest.mark.usefixtures("origin")
def test_the_address_is_believed_behind_as_many_proxies_as_are_configured(settings: Any) -> None:
    save_export_policy(values={"queries_per_quarter": 1})

    def from_(*hops: str) -> int:
        answer = User(secrets.token_hex(8)).get(LIST, HTTP_X_FORWARDED_FOR=", ".join(hops))
        return int(answer.status_code)

    assert [from_("203.0.113.1"), from_("203.0.113.2")] == [200, 429]  # nobody is believed: both are the test's client
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    assert [from_("203.0.113.1"), from_("203.0.113.2")] == [200, 200]
    assert from_("203.0.113.9", "203.0.113.2") == 429  # what the client wrote before the proxy's own is not believed
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 2}
    assert from_("203.0.113.77", "203.0.113.9", "198.51.100.1") == 200
    assert from_("203.0.113.78", "203.0.113.9", "198.51.100.2") == 429


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"), ("192.0.2.1:4711", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"), ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("[2001:db8:1:2::9]:4711", "2001:db8:1:2::"), ("fe80::1%eth0", "fe80::"), ("unknown", "unknown"), ("", ""),
    ],
)  # fmt: skip
def test_who_an_address_stands_for(address: str, network: str) -> None:
    assert network_of(address) == network


def at_once(number: int, work: Any) -> Counter[Any]:
    """What so many threads got, each with connections of its own."""
    found: Counter[Any] = Counter()
    together = threading.Barrier(number)

    def run(position: int) -> None:
        together.wait()
        try:
            found[work(position)] += 1
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(position,)) for position in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("offered")
def test_of_fifty_creations_at_once_ten_are_made() -> None:
    save_export_policy(values={"max_open": 100})
    signed = [User("ada") for _ in range(50)]
    answers = at_once(50, lambda position: ask(signed[position], REMOTE_ADDR=f"192.0.2.{position}").status_code)
    assert answers == {201: 10, 429: 40}
    assert Export.objects.count() == 10


@pytest.mark.django_db(transaction=True)
def test_nothing_is_counted_where_one_of_several_limits_is_reached() -> None:
    wide, narrow = Limit(subject_of("wide"), 5, HOUR), Limit(subject_of("narrow"), 1, HOUR)
    first, second = take([wide, narrow]), take([wide, narrow])
    assert (first.wait, first.limit, first.remaining) == (None, 1, 0)
    assert second.wait is not None and second.limit == 1
    assert Quota.objects.get(subject=wide.subject).count == 1
    Quota.objects.update(window_ends_at=timezone.now() - timedelta(seconds=1))
    assert forget_old_quotas() == 2
