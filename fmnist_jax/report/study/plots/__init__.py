"""The plots of a study; each function draws one and returns it as PNG."""
