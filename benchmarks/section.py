"""The section of docs/benchmarks.md that `benchmarks.s3` writes; `benchmarks` itself writes all before it."""

from demo.site import REPOSITORY

PAGE = REPOSITORY / "docs" / "benchmarks.md"
TITLE = "## Reading an S3 bucket"


def kept_section() -> str:
    """The section as it stands in the page, with its title; empty when there is none."""
    _, title, rest = PAGE.read_text(encoding="utf-8").partition(TITLE)
    return f"\n{title}{rest}" if title else ""


def put_section(text: str) -> None:
    before = PAGE.read_text(encoding="utf-8").partition(TITLE)[0].rstrip("\n")
    PAGE.write_text(f"{before}\n\n{TITLE}\n\n{text}", encoding="utf-8")
