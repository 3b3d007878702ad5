"""Relay nodes: whether one takes mail at present, and how it is doing."""
