"""The one bounded door to HTTP: size, deadline, redirects, and the address that is really dialled."""
