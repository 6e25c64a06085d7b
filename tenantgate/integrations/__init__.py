"""The gate inside frameworks: one thin module each."""
