"""How a plain stream becomes an artefact."""

from dataclasses import dataclass

from jobs.errors import BackupError

EXTENSIONS = {"zstd": ".zst", "gzip": ".gz", "none": ""}
LEVELS = {
    "zstd": range(1, 20),
    "gzip": range(1, 10),
    "none": range(0),
}  # zstd above 19 needs hundreds of MB
DEFAULT_LEVELS = {"zstd": 3, "gzip": 6}


@dataclass(frozen=True)
class Encoding:
    """`level` None is the default of the compression; `threads` are zstd's own workers beside the stage's thread.

    `recipients` are age public keys (`age1...`); empty means not encrypted.
    """

    compression: str = "zstd"
    level: int | None = None
    threads: int = 0
    recipients: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.compression not in EXTENSIONS:
            raise BackupError(
                f"Unknown compression {self.compression!r}.", code="invalid_compression", permanent=True,
                hint="Use zstd, gzip or none.",
            )  # fmt: skip
        levels = LEVELS[self.compression]
        if self.level is not None and levels and self.level not in levels:
            raise BackupError(
                f"{self.compression} has no level {self.level}.", code="invalid_level", permanent=True,
                hint=f"Use {levels[0]} to {levels[-1]}.",
            )  # fmt: skip

    @property
    def extension(self) -> str:
        return EXTENSIONS[self.compression] + (".age" if self.recipients else "")
