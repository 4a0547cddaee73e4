"""Transports of deliveries: webhooks, alert channels and product senders. Each makes one attempt at a time.

The delivery worker decides when and how often. A transport may get the same delivery twice, because the process may
die after the receiver has accepted it and before that is written down.
"""

from __future__ import annotations

from typing import Protocol

from turbine.model.deliveries import AttemptResult
from turbine.tables.deliveries import ClaimedDelivery


class Transport(Protocol):
    """The way in which deliveries of one kind leave the process."""

    async def deliver(self, held: ClaimedDelivery) -> AttemptResult:
        """Make one attempt. An exception counts as a failed attempt that may be repeated.

        ShuttingDown and StoreUnavailable of the runtime itself are the exception: then the delivery is given back and
        no attempt is counted.
        """
        ...
