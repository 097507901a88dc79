"""Whose face is it? Engines, the gallery they answer from, and the rule that decides; no Home Assistant."""
