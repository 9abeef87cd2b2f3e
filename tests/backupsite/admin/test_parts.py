"""What is drawn on the server: shapes and words, tested as text."""

from datetime import date

from django.template import Context, Template
from django.utils import translation

from jobs.templatetags.parts import MARKS, Day, sparkline, state_badge, strip, strip_mark


def test_a_badge_is_colour_shape_and_word_and_escapes_it() -> None:
    drawn = state_badge("good", "check", "<b>")
    assert 'class="bks-badge bks-tone-good"' in drawn
    assert ">check</span>&lt;b&gt;</span>" in drawn


def test_each_state_of_a_day_has_a_shape_of_its_own() -> None:
    shapes = {name: strip_mark(name) for name, _ in MARKS}
    assert len(set(shapes.values())) == len(MARKS)


def test_a_strip_tells_its_days_to_who_cannot_see_it() -> None:
    days = [Day(date(2026, 3, 1), "completed", proven=True), Day(date(2026, 3, 2), "missed")]
    drawn = strip(days, 'Shop "1"')
    assert 'aria-label="Shop &quot;1&quot;: 1 × completed, 1 × missed, 1 × proven by a drill"' in drawn
    assert "<title>March 1, 2026: completed, proven by a drill</title>" in drawn
    with translation.override("de"):
        assert "1. März 2026" in strip(days, "Shop"), "drawn once in each language"


def test_a_sparkline_starts_at_nought_and_leaves_gaps() -> None:
    assert "M0.0 22.0 L104.0 2.0" in sparkline([0, 10], "sizes")
    assert sparkline([1, None, 3, 4], "sizes").count("M") == 2
    assert "svg" not in sparkline([5], "sizes")


def test_a_meter_and_a_chip_say_what_they_show() -> None:
    meter = Template('{% include "backupsite/parts/meter.html" with percent=42 label="Disk" tone="warn" %}')
    assert 'role="meter" aria-label="Disk"' in meter.render(Context())
    assert 'aria-valuenow="42"' in meter.render(Context())
    chip = Template(
        '{% include "backupsite/parts/chip.html" with tone="bad" icon="error" text="Worker" detail="1 h ago" %}'
    )
    drawn = chip.render(Context())
    assert "Worker<small>1 h ago</small>" in drawn
    assert "<a" not in drawn
