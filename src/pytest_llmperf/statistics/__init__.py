"""Numbers in, numbers out: knows no LLM, no clock, no pytest; the only importer of scipy."""
