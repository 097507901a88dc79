"""What the doorbell promises, put to the test: no press is lost, and nobody else gets in."""
