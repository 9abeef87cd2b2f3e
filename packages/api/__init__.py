"""Packages and their policy over HTTP."""
