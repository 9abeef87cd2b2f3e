"""Sections of docs/benchmarks.md that benchmarks of their own write; `benchmarks` itself writes all before them."""

import re

from demo.site import REPOSITORY

PAGE = REPOSITORY / "docs" / "benchmarks.md"
TITLE = "## Reading an S3 bucket"
RETENTION = "## Retention of a large site"
SCALE = "## Schedules of a large site"
DASHBOARD = "## The dashboard of a large site"
SEPARATE = (TITLE, RETENTION, SCALE, DASHBOARD)


def kept_section() -> str:
    """The separate sections as they stand in the page, with their titles; empty when there are none."""
    return "".join(f"\n{section}" for section in _sections() if section.startswith(SEPARATE))


def put_section(text: str, *, title: str = TITLE) -> None:
    """Writes this section in its place, or at the end."""
    sections = [section for section in _sections() if not section.startswith(title)]
    own = [section for section in sections if not section.startswith(SEPARATE)]
    others = [section for section in sections if section.startswith(SEPARATE)]
    ordered = sorted([*others, f"{title}\n\n{text}"], key=lambda section: SEPARATE.index(section.partition("\n")[0]))
    PAGE.write_text("\n\n".join(section.strip("\n") for section in (*own, *ordered)) + "\n", encoding="utf-8")


def _sections() -> list[str]:
    """The page split before each heading of the second level."""
    return re.split(r"(?m)^(?=## )", PAGE.read_text(encoding="utf-8"))
