"""What this room hands to the life cycle: a runner per kind of job, and its sweep steps."""

from backups.models import Backup, CopyJob, Drill, Restore, Verification
from backups.services import (
    copy,
    count_usage,
    decide_approval,
    drill,
    drill_overdue,
    drill_schedule,
    end_verification,
    ensure_copies,
    forget_copy_jobs,
    forget_slots,
    left_uploads,
    look,
    overdue,
    prune,
    restore,
    retain,
    run,
    schedule,
    scratch,
    settle,
    verify,
    verify_due,
)
from jobs.registry import JobKind, register_kind, register_sweep_step
from notifications.registry import register_page


def register() -> None:
    register_kind(JobKind(Backup.kind, Backup, run.run_backup, run.may_start, run.ended))
    register_kind(JobKind(Restore.kind, Restore, restore.run_restore, restore.may_start, restore.ended))
    register_kind(
        JobKind(Verification.kind, Verification, verify.run_verification, verify.may_start, end_verification.ended)
    )
    register_kind(JobKind(Drill.kind, Drill, drill.run_drill, drill.may_start, drill.ended, drill.has_room))
    register_kind(JobKind(CopyJob.kind, CopyJob, copy.run_copy, copy.may_start, copy.ended, copy.has_room))
    register_sweep_step("slots", schedule.ensure_slots)
    register_sweep_step("overdue", overdue.tell_overdue)
    register_sweep_step("verify_due", verify_due.verify_due)
    register_sweep_step("expire_approvals", decide_approval.expire_approvals)
    register_sweep_step("drill_slots", drill_schedule.ensure_drill_slots)
    register_sweep_step("drill_overdue", drill_overdue.tell_drill_overdue)
    register_sweep_step("remove_scratches", scratch.remove_left_scratches, slow=True)
    register_sweep_step("left_uploads", left_uploads.abort_left_uploads, slow=True)
    register_sweep_step("copies", ensure_copies.ensure_copies)
    register_sweep_step("retain", retain.retain_due, slow=True)
    register_sweep_step("forget_old_slots", forget_slots.forget_old_slots, slow=True)
    register_sweep_step("forget_copy_jobs", forget_copy_jobs.forget_copy_jobs, slow=True)
    register_sweep_step("look_at_destinations", look.look_at_destinations, slow=True)
    register_sweep_step("count_usage", count_usage.count_usage, slow=True)
    register_sweep_step("settle_lost", settle.settle_lost, slow=True)
    register_sweep_step("remove_copies", prune.remove_deleting, slow=True)
    register_page("bkp_", "admin:backups_backup_change")
    register_page("rst_", "admin:backups_restore_change")
    register_page("vrf_", "admin:backups_verification_change")
    register_page("destination.", "admin:backups_destination_change")
