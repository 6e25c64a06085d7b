"""The demonstration: the whole job on one machine, on real signatures over real HTTP, without network."""
