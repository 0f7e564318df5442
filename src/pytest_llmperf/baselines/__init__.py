"""Accepted sessions that later runs are held against: what a file of them holds, and the folder they live in."""
