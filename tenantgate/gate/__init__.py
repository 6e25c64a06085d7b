"""The gate: one request in, one decision out, one answer."""
