"""Real processes on loopback: Home Assistant and a simulated doorbell, for the demo and the browser tests."""
