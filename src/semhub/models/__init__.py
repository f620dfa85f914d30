"""Models behind one adapter: `load` gives it, `selfcheck` proves it."""

from semhub.models.loading import load, organisms

__all__ = ["load", "organisms"]
