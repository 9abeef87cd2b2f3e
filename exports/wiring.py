"""What this room hands to the life cycle and to backups: a runner, sweep steps, and what it stores."""

from backups.registry import register_objects
from exports.models import Export, ExportObject
from exports.services import remove, run
from jobs.registry import JobKind, register_kind, register_sweep_step
from notifications.registry import register_page


def register() -> None:
    register_kind(JobKind(Export.kind, Export, run.run_export, run.may_start, run.ended, has_room=run.has_room))
    register_objects(ExportObject.objects.all, size="export__size")
    register_sweep_step("expire_exports", remove.expire_exports)
    register_sweep_step("seen_events", remove.forget_seen_events)
    register_sweep_step("remove_exports", remove.remove_deleted, slow=True)
    register_page("export.", "admin:exports_export_change")
