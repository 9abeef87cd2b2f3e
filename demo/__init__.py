"""The demo: samples of every engine out and back, through a running Backupsite (`make demo`)."""
