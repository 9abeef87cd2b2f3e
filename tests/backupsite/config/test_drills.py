"""How config.yaml says when and how a Database is drilled."""

from pathlib import Path

import pytest
import yaml

from backups.models import DrillPlan
from backupsite.config.apply import apply_config
from backupsite.config.export import export_config
from backupsite.config.reading import ConfigRefused
from databases.models import Database

pytestmark = pytest.mark.django_db

WHERE = "engine: postgres, host: db, username: backup, database_name: shop"
FILE = """
storage: {id: disk, type: local, path: %s}
databases:
  - {id: shop, WHERE}
  - {id: crm, WHERE, drill_schedule: "0 5 * * 0", drill: {pick: random, server: staging, destination: disk,
      within_days: 40, assertions: [{name: orders, query: SELECT count(*) FROM orders, operator: ">=", value: 1}]}}
  - {id: staging, WHERE}
""".replace("WHERE", WHERE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(FILE % (tmp_path / "disk"))
    return path


def test_a_plan_comes_from_the_file_and_goes_back_into_one(file: Path) -> None:
    apply_config(path=file)
    plan = DrillPlan.objects.get()
    assert (plan.pk, plan.schedule, plan.pick, plan.within_days) == ("crm", "0 5 * * 0", "random", 40)
    assert (plan.server_id, plan.destination_id) == ("staging", "disk")
    assert plan.assertions[0]["value"] == 1
    assert apply_config(path=file) == [], "nothing changes a second time"
    exported = {one["id"]: one for one in yaml.safe_load(export_config())["databases"]}
    assert exported["crm"]["drill_schedule"] == "0 5 * * 0" and exported["crm"]["drill"]["server"] == "staging"
    assert "drill" not in exported["shop"]


def test_what_the_file_no_longer_says_goes_back_to_its_default(file: Path) -> None:
    apply_config(path=file)
    file.write_text(file.read_text().partition("  - {id: crm")[0])
    assert apply_config(path=file)
    assert Database.objects.filter(pk="crm").exists(), "it is left over"
    file.write_text(file.read_text() + f"  - {{id: crm, {WHERE}}}\n")
    apply_config(path=file)
    plan = DrillPlan.objects.get()
    assert (plan.schedule, plan.server, plan.assertions) == (None, None, [])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("server: staging", "server: nowhere", "There is no database 'nowhere'"),
        ('"0 5 * * 0"', '"0 5 * *"', "is not a 5-field cron"),
        ("pick: random", "pick: oldest", "One of newest, random"),
        ('operator: ">="', 'operator: "~"', "One of ==, !="),
        ("SELECT count(*) FROM orders", "DROP TABLE orders", "Give a SELECT"),
    ],
)
def test_a_fault_is_told_with_its_place(file: Path, old: str, new: str, told: str) -> None:
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ConfigRefused) as refused:
        apply_config(path=file)
    assert told in str(refused.value) and "databases" in str(refused.value)
    assert not DrillPlan.objects.exists()
