"""The ways out of the process. The courier decides when and how often; a way makes one attempt and says how it went.

A way must be fit to be told the same delivery twice: a process may die between the receiver's yes and the row.
"""

from __future__ import annotations

from typing import Protocol

from turbine.model.deliveries import AttemptResult
from turbine.tables.deliveries import ClaimedDelivery


class Transport(Protocol):
    """How deliveries of one kind leave the process."""

    async def deliver(self, held: ClaimedDelivery) -> AttemptResult:
        """Make one attempt. What is raised instead of a verdict counts as a failed attempt that may be repeated.

        ShuttingDown and StoreUnavailable of the courier's own runtime are the exception: then the delivery is given
        back and no attempt is counted.
        """
        ...
