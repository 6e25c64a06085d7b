"""Issuers' metadata and key sets: fetched through `net`, held to configuration, kept through outages."""
