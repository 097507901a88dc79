"""The bridge: the daemon that turns a Raspberry Pi with a button and a webcam into a doorbell."""

__version__ = "0.1.0"
