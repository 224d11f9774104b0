"""Lockfiles of Python: one module each, which reads what is to be installed into `Packages`."""
