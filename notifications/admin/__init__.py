"""The admin of events, channels, rules, mutes and pings."""

from notifications.admin import channels, events, mutes, pings, rules

__all__ = ["channels", "events", "mutes", "pings", "rules"]
