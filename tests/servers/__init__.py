"""Real servers on loopback for tests, demo and benchmark: fetched once, started on free ports, stopped by their own pid."""
