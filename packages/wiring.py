"""What this room hands to the life cycle and to backups: a runner, sweep steps, what it reads and what it stores."""

from backups.registry import register_objects, register_readers
from jobs.registry import JobKind, register_kind, register_sweep_step
from notifications.registry import register_page
from packages.models import Package, PackageCopy
from packages.selectors import members_being_read
from packages.services import prune, retain, run, schedule


def register() -> None:
    register_kind(JobKind(Package.kind, Package, run.run_package, run.may_start, run.ended))
    register_readers(members_being_read)
    register_objects(PackageCopy.objects.all, size="package__size")
    register_sweep_step("package_slots", schedule.ensure_slots)
    register_sweep_step("retain_packages", retain.retain_packages)
    register_sweep_step("remove_packages", prune.remove_deleting, slow=True)
    register_page("pkg_", "admin:packages_package_change")
