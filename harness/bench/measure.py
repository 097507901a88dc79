"""One measured number."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with its limit, and beside it what the same run gave without that which is measured (`baseline`)."""

    what: str
    value: float
    unit: str
    limit: float
    baseline: float | None = None
    baseline_is: str = ""

    @property
    def kept(self) -> bool:
        """Whether it is within its limit."""
        return self.value <= self.limit

    def __str__(self) -> str:
        """Return a line of a table."""
        beside = "" if self.baseline is None else f"   {self.baseline_is} {self.baseline:.2f}"
        broken = "" if self.kept else "   ABOVE IT"
        return f"{self.what:44} {self.value:9.2f} {self.unit:4} limit {self.limit:7.0f}{beside}{broken}"
