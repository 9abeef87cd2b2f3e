"""The admin of exports, their policy, and the sources of user data."""

from exports.admin import exports, policy, sources

__all__ = ["exports", "policy", "sources"]
