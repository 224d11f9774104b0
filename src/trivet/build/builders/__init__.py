"""Builders: each recognises a source and plans its build. They start no process and write no file.

The one shape: `NAME`, `LOOKED_FOR` (what it recognises, for people), `recognise(tree)`, `plan(tree, settings)`.
"""
