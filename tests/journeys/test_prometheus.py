"""A real Prometheus scrapes a real site of several processes, and its figures are right."""

import json
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.site import Site, running_site
from tests.live import until
from tests.prepared import QUICK, prepare
from tests.servers.fetch import prometheus_program
from tests.servers.postgres import PostgresServer
from tests.servers.process import free_port, running

pytestmark = [pytest.mark.slow]
RULES = Path(__file__).resolve().parents[2] / "docs" / "monitoring" / "alerts.yaml"
ASKED = 40


def is_ready(port: int) -> bool:
    """It listens long before it answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def ask(port: int, query: str) -> list[dict[str, Any]]:
    address = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(address, timeout=60) as response:
        found: list[dict[str, Any]] = json.load(response)["data"]["result"]
    return found


def figure(port: int, query: str) -> float | None:
    found = ask(port, query)
    return float(found[0]["value"][1]) if found else None


def shown(port: int, query: str, expected: float) -> None:
    """A scrape that was too slow for its timeout leaves a gap: the figure is asked for until it is there."""
    until(lambda: figure(port, query) == expected, seconds=90, what=lambda: (query, ask(port, query), ask(port, "up")))


def configuration(folder: Path, site: Site) -> Path:
    scrape = {
        "job_name": "backupsite",
        "scrape_interval": "5s",
        "scrape_timeout": "5s",
        "authorization": {"credentials": "scrape-me"},
        "static_configs": [{"targets": [site.url.removeprefix("http://")]}],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump({"scrape_configs": [scrape], "rule_files": [str(RULES)]}))
    return file


def test_prometheus_scrapes_what_was_backed_up(
    tmp_path: Path, postgres: Callable[[int], PostgresServer], fresh_database: Callable[[PostgresServer], str]
) -> None:
    server = postgres(18)
    name = fresh_database(server)
    port = free_port()
    env = {"BACKUPSITE_METRICS_TOKEN": "scrape-me", **QUICK}
    prepare(tmp_path / "data")
    with running_site(tmp_path, pg_bin_dir=server.bin_dir, env=env) as site:
        client = site.login()
        connection = {"host": server.host, "port": server.port, "username": server.user, "password": server.password}
        database = {"id": "shop", "name": "Shop", "engine": "postgres", "database_name": name, **connection}
        client.post("/api/databases", {**database, "schedule": None})
        backup = client.post("/api/backups", {"database_id": "shop"})
        until(lambda: client.get(f"/api/backups/{backup['id']}")["status"] == "completed")
        for _ in range(ASKED):
            urllib.request.urlopen(f"{site.url}/healthz", timeout=60).close()
        argv = [str(prometheus_program("prometheus")), f"--config.file={configuration(tmp_path, site)}"]
        argv += [f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
        with running(argv, log=tmp_path / "prometheus.log", ready=lambda: is_ready(port)):
            shown(port, 'up{job="backupsite"}', 1)
            shown(port, 'backupsite_database_backups{database="shop",status="completed"}', 1)
            shown(port, 'backupsite_backup_size_bytes_count{engine="postgres"}', 1)
            shown(port, 'count(backupsite_process_age_seconds{role="sweeper"})', 1)
            shown(port, 'backupsite_destination_up{destination="local"}', 1)
            # Two web processes answered; either of them tells the sum.
            healthz = 'sum(django_http_requests_total_by_view_transport_method_total{view="healthz"})'
            until(lambda: (figure(port, healthz) or 0) >= ASKED, what=lambda: ask(port, healthz))
        assert min(counted(site) for _ in range(5)) >= ASKED


def counted(site: Site) -> float:
    """How often /healthz was asked for, by the word of whichever web process answers."""
    request = urllib.request.Request(f"{site.url}/metrics", headers={"Authorization": "Bearer scrape-me"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    name = "django_http_requests_total_by_view_transport_method_total{"
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name) and 'view="healthz"' in line)
