"""Engines carry out a run plan. One file each; one engine knows no other."""
