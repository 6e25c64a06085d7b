"""The REST API under `/api/v1`: routes translate, services decide."""
