"""What becomes of what a restore's target holds, in the reader's words."""

from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from backups.services.preview_restore import Fate, Preview

# Of one row: tone, symbol, word.
FATES = {
    Fate.REFUSED: ("bad", "block", _("there already, not touched")),
    Fate.REMOVED: ("bad", "delete", _("removed")),
    Fate.REPLACED: ("warn", "sync", _("replaced")),
    Fate.MERGED: ("warn", "merge", _("replaced where the same")),
    Fate.ADDED: ("good", "add", _("added")),
    Fate.KEPT: ("quiet", "check", _("stays as it is")),
}
PREFIXES = (_("prefix"), _("prefixes"))  # of a bucket a preview counts them, and not each key


def told(preview: Preview, words: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Tone, symbol and a sentence for each fate that something has, the worst first; of a refusal what causes it."""
    told_of = {fate: count for fate, count in preview.tally.items() if not preview.is_refused or fate == Fate.REFUSED}
    return [(*FATES[fate][:2], _sentence(fate, count, words)) for fate, count in told_of.items()]


def _sentence(fate: Fate, count: int, words: dict[str, Any]) -> str:
    names = PREFIXES if words["kind"] == "s3" else (words["item"], words["items"])
    texts = {
        Fate.REFUSED: ngettext("%(count)s %(item)s is there already.", "%(count)s %(item)s are there already.", count),
        Fate.REMOVED: ngettext(
            "%(count)s %(item)s is removed: the backup does not hold it.",
            "%(count)s %(item)s are removed: the backup does not hold them.",
            count,
        ),
        Fate.REPLACED: ngettext(
            "%(count)s %(item)s is removed and made again as the backup holds it.",
            "%(count)s %(item)s are removed and made again as the backup holds them.",
            count,
        ),
        Fate.MERGED: ngettext(
            "In %(count)s %(item)s what the backup holds is replaced; the rest stays.",
            "In %(count)s %(item)s what the backup holds is replaced; the rest stays.",
            count,
        ),
        Fate.ADDED: ngettext("%(count)s %(item)s is added.", "%(count)s %(item)s are added.", count),
        Fate.KEPT: ngettext("%(count)s %(item)s stays as it is.", "%(count)s %(item)s stay as they are.", count),
    }
    return texts[fate] % {"count": intcomma(count), "item": names[count != 1]}
