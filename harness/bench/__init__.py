"""What the doorbell promises in numbers, measured: each beside its limit and, where there is one, a baseline."""
