"""The admin of packages and their policy."""

from packages.admin import packages, policy

__all__ = ["packages", "policy"]
