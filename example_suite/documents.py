"""Texts of any length to work on. A token is about four characters."""

_PARAGRAPH = (
    "The tenant keeps the garden, the paths and the two sheds in the state in which they were handed over. Repairs up "
    "to a value of one hundred crowns a year are the tenant's, all others the owner's. The well may be used between "
    "March and October; the pump is to be drained before the first frost. Dogs are kept on a lead near the orchard. "
    "Whoever leaves the gate open pays for what the sheep have eaten.\n"
)
_LONGEST = _PARAGRAPH * 1_600


def document(tokens: int) -> str:
    """The first so many tokens of a long and dull contract."""
    return _LONGEST[: 4 * tokens]


def parts(tokens: int, number: int) -> list[str]:
    """So many parts of the long and dull contract, of so many tokens each."""
    return [_LONGEST[4 * tokens * one : 4 * tokens * (one + 1)] for one in range(number)]
