"""Where policy comes from and where decisions go."""
