"""Rows for tests that run the real thing in this process: Databases on real servers, Destinations, finished jobs."""

from pathlib import Path
from typing import Any, TypeVar

from backups.models import Backup, Destination, Restore, Verification
from backups.services.request import request_backup
from backups.services.restore import request_restore
from backups.services.save_destination import save_destination
from backups.services.verify import request_verification
from databases.models import Database
from databases.services.save import save_database
from jobs.models import Job
from jobs.services.run import run_job
from tests.live import bucket_options
from tests.servers.postgres import PostgresServer
from tests.servers.records import RecordsServer
from tests.servers.s3 import S3Server

AnyJob = TypeVar("AnyJob", bound=Job)


def register(server: PostgresServer, dbname: str, **values: Any) -> Database:
    """A postgres Database for `dbname` on the server, as its superuser."""
    given = {
        "name": dbname,
        "engine": "postgres",
        "host": server.host,
        "port": server.port,
        "username": server.user,
        "password": server.password,
        "database_name": dbname,
    }
    return save_database(database=Database(), values={**given, **values}, create=True)


def register_bucket(server: S3Server, bucket: str, **values: Any) -> Database:
    """An s3 Database for the bucket; `options` come on top of where it is and the keys."""
    options = bucket_options(server, bucket, **values.pop("options", {}))
    given = {"name": bucket, "engine": "s3", "options": options}
    return save_database(database=Database(), values={**given, **values}, create=True)


def register_service(service: RecordsServer, form: str = "page", *, options: dict[str, Any], **values: Any) -> Database:
    """An http Database for the users and orders of a service; `options` go before these."""
    given = {
        "url": f"{service.url}/{form}/{{collection}}",
        "collection": "users, orders",
        "restore_url": f"{service.url}/in/{{collection}}",
        **options,
    }
    rows = {"name": "crm", "engine": "http", **values, "options": given}
    return save_database(database=Database(), values=rows, create=True)


def local_destination(folder: Path, **values: Any) -> Destination:
    given = {"id": "disk", "name": "disk", "kind": "local", "path": str(folder), "is_default": True, "reserve_bytes": 0}
    return save_destination(destination=Destination(), values={**given, **values}, create=True)


def s3_destination(server: S3Server, bucket: str, **values: Any) -> Destination:
    given = {
        "id": "bucket",
        "name": "bucket",
        "kind": "s3",
        "bucket": bucket,
        "endpoint_url": server.endpoint_url,
        "region": "us-east-1",
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "addressing": "path",
        "is_default": True,
    }
    return save_destination(destination=Destination(), values={**given, **values}, create=True)


def finish(job: AnyJob) -> AnyJob:
    """Runs the job in this process and returns its row as it ended."""
    run_job(kind_name=job.kind, job_id=job.pk)
    job.refresh_from_db()
    return job


def back_up(database: Database, **values: Any) -> Backup:
    return finish(request_backup(database=database, **values))


def restore_into(target: Database, backup: Backup, **values: Any) -> Restore:
    return finish(request_restore(backup=backup, target=target, confirm=target.pk, **values))


def verify(backup: Backup, **values: Any) -> Verification:
    return finish(request_verification(backup=backup, **values))
