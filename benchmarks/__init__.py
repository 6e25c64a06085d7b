"""Measurements of TenantGate. `python -m benchmarks --help` lists them; docs/performance.md explains the figures."""
