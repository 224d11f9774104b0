"""The front door: an HTTP/1.1-aware relay that keeps the listening sockets while releases come and go behind it.

A process of its own, standard library alone, plain `epoll`. The supervisor starts it (`launch`) and talks to it
(`link`).
"""
