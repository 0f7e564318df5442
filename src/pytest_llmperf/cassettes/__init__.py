"""Timed recordings in VCR's own format: recorded while an answer streams, replayed with its timing.

The only layer that imports vcr, and it does so where it is used.
"""
