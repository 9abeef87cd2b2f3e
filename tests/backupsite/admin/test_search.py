"""The search over everything finds what its reader may see, a few of each kind."""

import re
from collections.abc import Callable
from html import unescape

from django.test import Client

from backups.models import Backup
from backupsite.admin.search import EACH
from backupsite.api.models import ApiKey
from databases.models import Database
from tests.api import make_database, user_with

LogIn = Callable[[str], Client]
MakeBackup = Callable[..., Backup]


def found(browser: Client, term: str) -> list[str]:
    """The addresses of the rows."""
    answer = browser.get("/admin/search/", {"s": term, "extended": "1"})
    assert answer.status_code == 200
    return [unescape(link) for link in re.findall(r'href="(/admin/[^"]+/change/)"', answer.content.decode())]


def test_a_name_finds_what_has_it_and_only_admins_find_users_and_keys(
    log_in: LogIn, shop: Database, make_backup: MakeBackup
) -> None:
    backup, user = make_backup(), user_with("viewer", username="shopkeeper")
    key = ApiKey.objects.create(name="of the shop", role="viewer", digest="0" * 64)
    rows = {f"/admin/databases/database/{shop.pk}/change/", f"/admin/backups/backup/{backup.pk}/change/"}
    assert set(found(log_in("viewer"), "SHOP")) == rows
    hidden = {f"/admin/auth/user/{user.pk}/change/", f"/admin/api/apikey/{key.pk}/change/"}
    assert set(found(log_in("admin"), "SHOP")) == rows | hidden


def test_an_id_finds_its_row(log_in: LogIn, make_backup: MakeBackup) -> None:
    backup = make_backup()
    make_backup()
    assert found(log_in("viewer"), backup.pk) == [f"/admin/backups/backup/{backup.pk}/change/"]


def test_a_sign_that_no_text_holds_is_not_looked_for(log_in: LogIn, make_backup: MakeBackup) -> None:
    """PostgreSQL refuses it."""
    backup, browser = make_backup(), log_in("admin")
    assert found(browser, "\0") == []
    for query in ("status__exact=%00", "q=%00", "type__exact=full&trigger__exact=a%00"):
        answer = browser.get(f"/admin/backups/backup/?{query}")
        assert [row.pk for row in answer.context["cl"].result_list] == [backup.pk]


def test_many_of_a_kind_hide_no_other(log_in: LogIn, shop: Database, make_backup: MakeBackup) -> None:
    for number in range(EACH + 4):
        make_database(f"shop-{number}")
    make_backup()
    kinds = [address.split("/")[3] for address in found(log_in("viewer"), "shop")]
    assert (kinds.count("database"), kinds.count("backup")) == (EACH, 1)
