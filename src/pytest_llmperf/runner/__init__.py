"""Repeats a test body by a plan and gathers its series: closed loop, warm-ups, caps. Knows no pytest and no report."""
