"""A grid of organisms, the instrument along their training, and pictures of when and where a hub forms."""
