"""How a command ends, as its exit status."""

DONE, NO, WRONG = 0, 1, 2
