"""The rounds: one that warms up and measures memory, then timed ones in which everybody runs in turn."""

from collections.abc import Callable

from benchmarks import others, ours
from benchmarks.figures import Figures
from benchmarks.memory import Sampler, tree_pss
from benchmarks.world import VARIANTS, World

TINY_RUNS = 20
Say = Callable[[str], None]


def warm_up(world: World, figures: Figures, say: Say) -> ours.OurBackup:
    """Runs everybody once, sampling memory, which would disturb the timed rounds; fills the page cache for all.

    Returns a backup to restore from.
    """
    worker = world.worker_pid()
    figures.idle_worker = tree_pss(worker)
    kept = None
    for variant in VARIANTS:
        say(f"warm-up: {variant}")
        world.settle()
        with Sampler(worker) as sampler:
            backup = ours.back_up(world, variant)
        figures.peaks[variant], figures.sizes[variant] = sampler.peak, backup.size
        figures.original_size = backup.original_size
        kept = kept or backup
        if backup is not kept:
            ours.discard(world, backup)
    assert kept is not None
    for name, run in _others().items():
        say(f"warm-up: {name}")
        world.settle()
        with Sampler() as sampler:
            figures.sizes[name] = run(world, sampler.watch).size
        figures.peaks[name] = sampler.peak
    _warm_up_restores(world, figures, kept, worker, say)
    return kept


def _warm_up_restores(world: World, figures: Figures, backup: ours.OurBackup, worker: int, say: Say) -> None:
    say("warm-up: restores")
    world.fresh_target()
    with Sampler(worker) as sampler:
        ours.restore(world, backup)
    figures.peaks["restore: ours"] = sampler.peak
    world.fresh_target()
    with Sampler() as sampler:
        others.floor_restore(world, artefact_of(world, backup), sampler.watch)
    figures.peaks["restore: floor"] = sampler.peak


def timed(world: World, figures: Figures, kept: ours.OurBackup, rounds: int, say: Say) -> None:
    """Everybody once a round, each round beginning with another, so that what drifts hits all alike."""
    runs = _timed_runs(world, figures, kept)
    names = list(runs)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            say(f"round {number + 1} of {rounds}: {name}")
            if name.startswith("restore"):
                world.fresh_target()
            world.settle()
            runs[name]()


def tiny(world: World, figures: Figures, say: Say) -> None:
    for number in range(TINY_RUNS):
        say(f"tiny database: {number + 1} of {TINY_RUNS}")
        figures.tiny.append(ours.back_up(world, "tiny").marks.completed)


def artefact_of(world: World, backup: ours.OurBackup) -> str:
    return str(world.site.data / "backups" / backup.path)


def _others() -> dict[str, Callable[..., others.Run]]:
    return {
        "floor zstd": others.floor_zstd,
        "floor gzip": others.floor_gzip,
        "django-dbbackup": others.dbbackup,
    }


def _timed_runs(world: World, figures: Figures, kept: ours.OurBackup) -> dict[str, Callable[[], None]]:
    def ours_of(variant: str) -> Callable[[], None]:
        def run() -> None:
            backup = ours.back_up(world, variant)
            for moment in ("started", "stored", "completed"):
                figures.add(f"{variant}: {moment}", getattr(backup.marks, moment))
            ours.discard(world, backup)

        return run

    def other(name: str, run: Callable[..., others.Run]) -> Callable[[], None]:
        return lambda: figures.add(name, run(world).seconds)

    runs = {variant: ours_of(variant) for variant in VARIANTS}
    runs |= {name: other(name, run) for name, run in _others().items()}
    runs["restore: ours"] = lambda: figures.add("restore: ours", ours.restore(world, kept).completed)
    runs["restore: floor"] = lambda: figures.add(
        "restore: floor", others.floor_restore(world, artefact_of(world, kept)).seconds
    )
    return runs
