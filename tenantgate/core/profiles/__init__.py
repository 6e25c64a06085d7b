"""What the tokens of other issuers look like: one profile a file, and the table of them by name."""
