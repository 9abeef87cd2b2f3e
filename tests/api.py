"""Callers of the API by role, and rows to call it about."""

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from backups.models import Backup, Copy, Destination
from databases.models import Database
from jobs.models import Status


def user_with(role: str, *, username: str = "", password: str | None = None) -> Any:
    name = username or f"the-{role}"
    users = get_user_model().objects
    user = users.filter(username=name).first() or users.create_user(name, password=password)
    if role != "nobody":
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


def api(role: str = "admin") -> APIClient:
    """A client that is logged in as the user of this role."""
    client = APIClient()
    client.force_authenticate(user_with(role))
    return client


def browser_of(role: str, *, password: str | None = None) -> Client:
    """A browser in which the user of this role, and of its name, is logged into the admin."""
    user = user_with(role, username=role, password=password)
    user.is_staff = True
    user.save()
    browser = Client()
    browser.force_login(user)
    return browser


def make_database(pk: str = "shop", **values: Any) -> Database:
    given = {"name": "Shop", "engine": "postgres", "host": "127.0.0.1", "username": "shop", "database_name": "shop"}
    values = {**given, **values}
    return Database.objects.create(pk=pk, **values)


def make_destination(path: Any = "/nowhere", pk: str = "local", **values: Any) -> Destination:
    values = {"name": "Local", "kind": "local", "path": str(path), "is_default": True, "reserve_bytes": 0, **values}
    return Destination.objects.create(pk=pk, **values)


def make_backup(database: Database, *, destination: Destination | None = None, **values: Any) -> Backup:
    """A completed backup; with a destination, its copy is recorded as stored there."""
    now = timezone.now()
    values = {
        "database": database,
        "database_name": database.name,
        "engine": database.engine,
        "status": Status.COMPLETED,
        "started_at": now - timedelta(seconds=3),
        "finished_at": now,
        "size": 10,
        "original_size": 20,
        "sha256": "ab" * 32,
        "md5": "ab" * 16,
        **values,
    }
    backup = Backup.objects.create(**values)
    if destination is not None:
        key = f"{database.pk}/{backup.pk}-1.dump.zst"
        Copy.objects.create(backup=backup, destination=destination, attempt=1, key=key, state=Copy.State.STORED)
    return backup
