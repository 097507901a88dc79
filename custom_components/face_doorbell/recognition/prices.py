"""What AWS charges for: the one place that knows prices. S3's requests are left out, a visit's are below $0.00001."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

REGION: Final = "us-east-1"  # whose list this is; other regions charge somewhat more
AS_OF: Final = date(2026, 11, 1)
CURRENCY: Final = "USD"

# For one call; of the first million images a month, which no doorbell reaches. What is not here is free.
PRICES: Final[Mapping[str, float]] = MappingProxyType(
    {
        "AssociateFaces": 0.001,
        "CompareFaces": 0.001,
        "DetectFaces": 0.001,
        "DisassociateFaces": 0.001,
        "IndexFaces": 0.001,
        "SearchUsersByImage": 0.001,
    }
)


def cost(calls: Mapping[str, int]) -> float:
    """Return what calls, counted by operation, cost in `CURRENCY`."""
    return sum(PRICES[operation] * count for operation, count in calls.items() if operation in PRICES)
