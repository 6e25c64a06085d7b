"""An Entra-shaped authority on loopback, for the demo and for tests: no Microsoft service is contacted."""
