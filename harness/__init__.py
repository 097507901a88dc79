"""Real processes on loopback, for the demo, the benchmark and the browser tests: Home Assistant and a simulated doorbell."""
