"""The judge: pure functions over values. No clock, network, database, randomness or threads."""
