"""The registry: partners and what they may do, who changed it, and the change feed. Synchronous only."""
