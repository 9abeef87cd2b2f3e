"""What this room hands to the sweeper, and where its own things are shown."""

from jobs.registry import register_sweep_step
from notifications.registry import register_page
from notifications.services.forget import forget_old


def register() -> None:
    register_sweep_step("forget_old_events", forget_old, slow=True)
    register_page("chn_", "admin:notifications_channel_change")
    register_page("png_", "admin:notifications_ping_change")
