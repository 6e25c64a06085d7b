"""For our users' own tests: fake partners, their tokens, a frozen clock, and a real gate without a network."""
