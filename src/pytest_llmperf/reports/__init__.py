"""Renderers of a finished report, one module each. They word and lay out; what was shown is decided before."""
