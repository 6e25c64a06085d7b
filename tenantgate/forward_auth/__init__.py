"""The endpoint a reverse proxy asks before it lets a request through."""
