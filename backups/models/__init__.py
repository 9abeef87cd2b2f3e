"""What we promise about a Database: its backups, where they are, and the runs that read them."""

from backups.models.anomaly import Anomaly
from backups.models.backup import Backup, Copy, make_backup_id
from backups.models.destination import DatabaseDestination, Destination, make_destination_id
from backups.models.drill import Drill, DrillOverdue, DrillPlan, DrillSlot, Pick, make_drill_id
from backups.models.runs import CopyJob, Restore, Verification, make_copy_id, make_restore_id, make_verification_id
from backups.models.safety import Approval, KitDownload, make_approval_id
from backups.models.schedule import Overdue, Retained, Slot
from backups.models.stored import StoredObject
from backups.models.usage import Usage

__all__ = [
    "Anomaly",
    "Approval",
    "Backup",
    "Copy",
    "CopyJob",
    "DatabaseDestination",
    "Destination",
    "Drill",
    "DrillOverdue",
    "DrillPlan",
    "DrillSlot",
    "KitDownload",
    "Overdue",
    "Pick",
    "Restore",
    "Retained",
    "Slot",
    "StoredObject",
    "Usage",
    "Verification",
    "make_approval_id",
    "make_backup_id",
    "make_copy_id",
    "make_destination_id",
    "make_drill_id",
    "make_restore_id",
    "make_verification_id",
]
