"""What was recorded by an earlier version of the code, and today's types do not take."""

from collections.abc import Sequence


class Misfit(Exception):
    """A recorded payload does not fit today's types; the text says what, which type, and which fields.

    `lost` are the fields that would be dropped, if that is all.
    """

    def __init__(self, text: str, lost: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.lost = tuple(lost)
