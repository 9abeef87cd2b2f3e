"""What every engine that masks asks of a rule."""

from databases.engines.fakes import KINDS
from databases.engines.proof import Mask

METHODS = ("null", "fixed", "hash", "fake")


def rule_fault(mask: Mask) -> str:
    """What is wrong with a masking rule, in a sentence; empty when nothing is."""
    if any("\0" in text for text in (mask.item, mask.column, mask.value)):
        return "No name or value holds a NUL."
    if not mask.column:
        return "Name the column."
    if mask.method not in METHODS:
        return f"The method is one of {', '.join(METHODS)}."
    if mask.method == "fake" and mask.value not in KINDS:
        return f"Say in value what is made up: {', '.join(KINDS)}."
    if mask.method in ("null", "hash") and mask.value:
        return f"The method {mask.method} takes no value."
    return ""
