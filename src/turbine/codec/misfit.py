"""The error for records of an earlier version of the code that the current types do not accept."""

from collections.abc import Sequence


class Misfit(Exception):
    """A recorded payload does not fit the current types; the text names the payload, the type and the fields.

    `lost` are the fields that would be dropped, if that is the only fault.
    """

    def __init__(self, text: str, lost: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.lost = tuple(lost)
