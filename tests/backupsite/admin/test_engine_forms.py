"""Forms and pages made from an engine: its options, its secrets, its words."""

from collections.abc import Callable
from typing import Any

import pytest
from django.forms import BooleanField
from django.test import Client
from django.utils.html import escape

from backups.models import Backup, Destination, Restore
from databases.engines import registry
from databases.models import Database
from databases.services.save import save_database
from jobs.admin.forms import SecretField
from jobs.fields import unseal
from tests.databases.bodies import BODIES, CANARY, body_of, registered

LogIn = Callable[[str], Client]
MakeBackup = Callable[..., Backup]
PAGE = "/admin/databases/database/"
EACH = pytest.mark.parametrize("kind", registered())


def as_sent(form: Any, **typed: Any) -> dict[str, Any]:
    """What a browser sends when nothing but `typed` was typed into the form it was shown."""
    sent = {}
    for name, field in form.fields.items():
        value = form[name].value()
        if value is None and hasattr(field, "choices"):
            value = field.choices[0][0]
        ticked = not isinstance(field, BooleanField) or value
        if not isinstance(field, SecretField) and ticked:
            sent[name] = "" if value is None else value
    return {**sent, **typed}


def as_typed(body: dict[str, Any]) -> dict[str, Any]:
    """Values of the API as they are typed into the form."""
    flat = {name: value for name, value in body.items() if name not in ("options", "engine")}
    flat |= {f"options.{name}": value for name, value in body.get("options", {}).items()}
    return {name: _text(value) for name, value in flat.items()}


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        return "\r\n".join(f"{name}: {text}" for name, text in value.items())
    return "\r\n".join(value) if isinstance(value, list) else value


@pytest.fixture
def one(db: None, kind: str) -> Database:
    """A Database of the test's engine, with its secrets."""
    return save_database(database=Database(), values=body_of(kind, id="one", schedule=None), create=True)


def test_who_adds_a_database_chooses_among_all_engines(log_in: LogIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.ENGINES, "other", registry.ENGINES["postgres"])  # so that there is a choice
    page = log_in("admin").get(f"{PAGE}add/").content.decode()
    for kind, engine in registry.ENGINES.items():
        assert engine.about
        assert escape(engine.about) in page
        assert f'href="?engine={kind}"' in page


@EACH
def test_the_form_has_a_field_with_help_for_every_option(log_in: LogIn, kind: str) -> None:
    form = log_in("admin").get(f"{PAGE}add/?engine={kind}").context["form"]
    without = [option.name for option in registry.option_fields(kind) if not form[f"options.{option.name}"].help_text]
    assert without == []
    assert ("scheduled_type" in form.fields) is ("incremental" in registry.engine_class(kind).supports)


@EACH
def test_what_is_typed_is_saved_and_no_page_shows_its_secrets(log_in: LogIn, kind: str) -> None:
    browser = log_in("admin")
    form = browser.get(f"{PAGE}add/?engine={kind}").context["form"]
    answer = browser.post(f"{PAGE}add/?engine={kind}", as_sent(form, **as_typed(body_of(kind, id="one"))), follow=True)
    database = Database.objects.get()
    assert unseal(database.secrets).get("options", {}) == BODIES[kind].secrets
    given = BODIES[kind].plain.get("options", {})
    assert {name: database.options[name] for name in given} == given
    pages = [answer, *(browser.get(f"{PAGE}{page}") for page in ("one/edit/", "one/change/", "one/history/", ""))]
    assert CANARY not in "".join(page.content.decode() for page in pages)
    assert registry.engine_class(kind).label in pages[-1].content.decode()


@EACH
def test_a_form_that_is_saved_as_it_was_shown_changes_nothing(log_in: LogIn, kind: str, one: Database) -> None:
    browser = log_in("admin")
    for _ in range(2):
        form = browser.get(f"{PAGE}one/edit/").context["form"]
        assert browser.post(f"{PAGE}one/edit/", as_sent(form)).status_code == 302
    changed = Database.objects.get()
    assert (changed.name, changed.scheduled_type, unseal(changed.secrets)) == (
        one.name,
        one.scheduled_type,
        unseal(one.secrets),
    )
    defaults = {option.name: option.default for option in registry.option_fields(kind)}
    told = {name: value for name, value in changed.options.items() if value != defaults[name]}
    assert told == {name: value for name, value in one.options.items() if value != defaults[name]}


@EACH
def test_a_fault_is_shown_at_its_field_even_where_that_is_folded_away(log_in: LogIn, kind: str) -> None:
    browser = log_in("admin")
    empty = browser.get(f"{PAGE}add/?engine={kind}").context["form"]
    tried = 0
    for change, name in BODIES[kind].wrong:
        typed = as_typed({"name": "One", **BODIES[kind].plain, **change})
        if _has_another_shape(kind, change) or not _can_be_typed(empty, typed):
            continue
        sent = as_sent(empty, **typed)
        answer = browser.post(f"{PAGE}add/?engine={kind}", sent)
        form = answer.context["form"]
        assert name in form.errors, (name, dict(form.errors))
        if name in form.folded:
            assert '<details class="bks-fold" open>' in answer.content.decode()
        tried += 1
    assert tried


def _has_another_shape(kind: str, change: dict[str, Any]) -> bool:
    """A form makes lists and mappings of texts out of whatever is typed."""
    given = change.get("options", {})
    lists = [option.name for option in registry.option_fields(kind) if option.type == "list"]
    mapped = [text for value in given.values() if isinstance(value, dict) for text in value.values()]
    return any(isinstance(given.get(name), str) for name in lists) or not all(isinstance(t, str) for t in mapped)


def _can_be_typed(form: Any, values: dict[str, Any]) -> bool:
    """A browser sends only texts, and of a list of choices only these."""
    chosen = [value for name, value in values.items() if hasattr(form.fields.get(name), "choices")]
    texts = all(isinstance(value, str | int) and not isinstance(value, bool) for value in values.values())
    texts = texts and all(str(value).strip() for value in values.values())
    return texts and set(values) <= set(form.fields) and CANARY not in chosen


class TestFoldedOptions:
    def test_they_are_closed_until_one_says_something(self, log_in: LogIn, shop: Database) -> None:
        browser = log_in("admin")
        assert '<details class="bks-fold">' in browser.get(f"{PAGE}shop/edit/").content.decode()
        Database.objects.update(options={"schemas": ["app"]})
        assert '<details class="bks-fold" open>' in browser.get(f"{PAGE}shop/edit/").content.decode()

    def test_a_secret_that_is_set_opens_them_too(self, log_in: LogIn, shop: Database) -> None:
        Database.objects.update(secret_names=["options.sslkey"])
        page = log_in("admin").get(f"{PAGE}shop/edit/").content.decode()
        assert '<details class="bks-fold" open>' in page


class TestBackUp:
    @EACH
    def test_full_and_where_supported_incremental(
        self, log_in: LogIn, kind: str, one: Database, disk: Destination
    ) -> None:
        browser = log_in("operator")
        page = browser.get(f"{PAGE}one/change/").content.decode()
        possible = "incremental" in registry.engine_class(kind).supports
        assert ('value="incremental"' in page) is possible
        browser.post(f"{PAGE}one/back-up/")
        assert Backup.objects.get().type == "full"
        answer = browser.post(f"{PAGE}one/back-up/", {"type": "incremental"}, follow=True)
        made = Backup.objects.filter(type="incremental").exists()
        assert made is possible
        assert ("cannot make incremental backups" in answer.content.decode()) is not possible

    @EACH
    def test_selective_by_its_own_form(self, log_in: LogIn, kind: str, one: Database, disk: Destination) -> None:
        browser = log_in("operator")
        if "selective" not in registry.engine_class(kind).supports:
            browser.post(f"{PAGE}one/back-up-selective/", {"include": "a"})
            assert not Backup.objects.exists()
            return
        page = browser.get(f"{PAGE}one/back-up-selective/").content.decode()
        assert f"Only these {registry.engine_class(kind).item}s" in page
        refused = browser.post(f"{PAGE}one/back-up-selective/", {"include": "", "exclude": ""})
        assert "Nothing was started" in refused.content.decode()
        assert not Backup.objects.exists()
        browser.post(f"{PAGE}one/back-up-selective/", {"include": "a\r\nb", "exclude": "c", "label": "some"})
        backup = Backup.objects.get()
        assert (backup.type, backup.include, backup.exclude) == ("selective", ["a", "b"], ["c"])
        assert (backup.label, str(backup.requested_by), backup.trigger) == ("some", "operator", "manual")

    def test_a_type_that_does_not_exist_is_refused(self, log_in: LogIn, shop: Database, disk: Destination) -> None:
        answer = log_in("operator").post(f"{PAGE}shop/back-up/", {"type": "half"}, follow=True)
        assert "cannot make half backups" in answer.content.decode()


class TestChains:
    def test_a_backup_shows_what_it_builds_on_and_what_builds_on_it(
        self, log_in: LogIn, make_backup: MakeBackup
    ) -> None:
        full = make_backup()
        first = make_backup(type="incremental", parent=full, collection="users")
        browser = log_in("viewer")
        page = browser.get(f"/admin/backups/backup/{first.pk}/change/").content.decode()
        assert f'<dt>Builds on</dt><dd><a href="/admin/backups/backup/{full.pk}/change/">' in page
        assert "incremental of users" in page
        page = browser.get(f"/admin/backups/backup/{full.pk}/change/").content.decode()
        assert f'<dt>Carries</dt><dd><a href="/admin/backups/backup/{first.pk}/change/">' in page
        assert "· incremental" in browser.get("/admin/backups/backup/").content.decode()


def what_step(browser: Client, backup: Backup, target: str) -> str:
    """The step of a restore that asks what is to be put back, once it is known where to."""
    answer = browser.post(f"/admin/backups/backup/{backup.pk}/restore/", {"step": "target", "target": target})
    return answer.content.decode()


class TestRestore:
    @EACH
    def test_what_to_restore_can_be_chosen_of_every_engine(
        self, log_in: LogIn, kind: str, one: Database, make_backup: MakeBackup
    ) -> None:
        engine = registry.engine_class(kind)
        held = {"counts": {engine.example: 1}, "collections": [engine.example]}
        backup = make_backup(database=one, engine=kind, manifest={"engine": held})
        page = what_step(log_in("operator"), backup, "one")
        assert (f"Only these {engine.item}s" in page) is ("selective" in engine.supports)
        assert ("Also delete" in page) is ("delete_extra" in engine.supports)

    def test_deleting_what_is_extra_is_offered_only_where_the_engine_can(
        self, log_in: LogIn, make_backup: MakeBackup
    ) -> None:
        page = what_step(log_in("operator"), make_backup(), "shop")
        assert "Also delete" not in page
        assert "Only these tables" in page
        assert "like public.orders" in page

    def test_it_is_asked_for(self, log_in: LogIn, make_backup: MakeBackup, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = registry.ENGINES["postgres"]
        monkeypatch.setattr(engine, "supports", engine.supports | {"delete_extra"})
        backup = make_backup()
        browser = log_in("operator")
        address = f"/admin/backups/backup/{backup.pk}/restore/"
        assert "Also delete what the backup does not hold" in what_step(browser, backup, "shop")
        browser.post(address, {"target": "shop", "confirm": "shop", "delete_extra": "on"})
        restore = Restore.objects.get()
        assert restore.delete_extra is True
        assert "deleted" in browser.get(f"/admin/backups/restore/{restore.pk}/change/").content.decode()


def test_a_new_database_is_encrypted_as_the_site_says(log_in: LogIn, settings: Any) -> None:
    settings.BACKUPSITE_DEFAULT_ENCRYPTION = "age"
    page = log_in("admin").get(f"{PAGE}add/?engine=postgres").content.decode()
    assert '<option value="age" selected>' in page
