"""Every kind of event there is: what it means, how bad it is unless the caller knows better, and what it ends."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from django.utils.translation import gettext_noop as _

from notifications.models import Severity


@dataclass(frozen=True)
class Kind:
    """`good_news` ends something bad: it reaches whoever was told of that, whatever severity a rule asks for.

    `description` is English; the admin translates it.
    """

    name: str
    severity: Severity
    description: str
    good_news: bool = False


def _info(name: str, description: str) -> Kind:
    return Kind(name, Severity.INFO, description)


def _good(name: str, description: str) -> Kind:
    return Kind(name, Severity.INFO, description, good_news=True)


def _warning(name: str, description: str) -> Kind:
    return Kind(name, Severity.WARNING, description)


def _error(name: str, description: str) -> Kind:
    return Kind(name, Severity.ERROR, description)


_ALL = (
    _info("backup.completed", _("A backup is stored and was read back.")),
    _error("backup.failed", _("A backup failed and will not be tried again.")),
    _info("backup.cancelled", _("A backup was cancelled.")),
    _error("backup.overdue", _("A Database was due and has no good backup since.")),
    _good("backup.recovered", _("A Database has a good backup again after failures.")),
    _warning("schedule.skipped", _("A due time passed without a backup.")),
    _info("restore.finished", _("A restore ended; an error when it failed.")),
    _info("drill.completed", _("A backup was restored into a scratch target and is as it should be.")),
    _error("drill.failed", _("A backup could not be restored as it should be.")),
    _warning("drill.waiting", _("A scheduled drill waits for the age secret key.")),
    _warning("drill.overdue", _("No backup of a Database was proven by a drill for too long.")),
    _error("verify.failed", _("A copy is damaged or missing.")),
    _warning("verify.overdue", _("Copies were not read again for too long.")),
    _warning("copy.behind", _("A destination lacks copies that it should have.")),
    _good("copy.caught_up", _("A destination has all its copies again.")),
    _error("copy.failed", _("A copy could not be made and will not be tried again.")),
    _info("copy.replaced", _("A damaged copy was replaced from a good one.")),
    _error("destination.down", _("A destination cannot be used.")),
    _good("destination.up", _("A destination can be used again.")),
    _error("destination.full", _("A destination has no more room than is to be kept free.")),
    _warning("destination.undeletable", _("A destination refuses to delete what retention takes.")),
    _warning("anomaly.found", _("A backup is unlike those before it: nothing of its Database is pruned meanwhile.")),
    _warning("anomaly.not_judged", _("A backup could not be compared with those before it.")),
    _good("anomaly.ended", _("Somebody looked at a backup that was unlike those before it: pruning goes on.")),
    _info("retention.expired", _("Retention takes backups that have had their time.")),
    _warning("hook.failed", _("A program that runs beside backups failed.")),
    _info("backups.adopted", _("Backups that lay at a destination were taken into the list.")),
    _info("package.completed", _("A package is stored.")),
    _error("package.failed", _("A package could not be made.")),
    _info("package.cancelled", _("A package was cancelled.")),
    _info("export.completed", _("An export that a user asked for is stored.")),
    _warning("export.failed", _("An export that a user asked for could not be made.")),
    _info("export.cancelled", _("An export was cancelled.")),
    _error("channel.failing", _("A channel does not take messages.")),
    _good("channel.recovered", _("A channel takes messages again.")),
    _warning("ping.failing", _("A ping address does not answer.")),
    _good("ping.recovered", _("A ping address answers again.")),
    _warning("security.login_locked", _("Too many attempts to log in: further ones are refused for a while.")),
    _warning("security.key_created", _("An API key was made.")),
    _info("security.key_revoked", _("An API key was revoked.")),
    _warning("security.user_created", _("A user was added, or may log in again.")),
    _warning("security.role_changed", _("A user has another role.")),
    _warning("security.second_factor_removed", _("A user's second factor was taken off.")),
    _warning("security.approval_requested", _("Something dangerous waits for a second person.")),
    _info("security.approval_approved", _("A second person agreed to something dangerous.")),
    _info("security.approval_refused", _("A second person refused something dangerous.")),
    _info("security.approval_withdrawn", _("Who asked for something dangerous took it back.")),
    _error("security.approval_failed", _("Something dangerous was agreed to and could not be done.")),
    _info("security.approval_expired", _("Nobody agreed in time to something dangerous.")),
    _warning("security.approval_bypassed", _("Something dangerous was done on the host, without a second person.")),
    _warning("security.masking_changed", _("The masking rules of a Database were changed.")),
    _warning("kit.downloaded", _("The recovery kit was downloaded.")),
)
KINDS = {kind.name: kind for kind in _ALL}


def is_good_news(name: str) -> bool:
    return name in KINDS and KINDS[name].good_news


def matches(name: str, patterns: Iterable[str]) -> bool:
    """`backup.*` is every kind of that family, `*` all of them."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def unknown_patterns(patterns: Iterable[str]) -> list[str]:
    """Those that no kind matches: a misspelt one would be silent for ever."""
    return [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in KINDS)]
