"""Spoiled tokens by name: each is a good token of the authority's with one thing wrong, and why that matters."""
