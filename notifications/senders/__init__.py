"""How a message leaves: one module for each kind of channel. Each raises BackupError, and none outlives its deadline.

What they are given is plain: settings and opened secrets. What they raise repeats neither.
"""
