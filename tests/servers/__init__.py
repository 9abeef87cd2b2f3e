"""Real servers on loopback for tests, demo and benchmark: fetched once, on free ports, stopped by their own pid."""
