"""The supervisor: one small process per home that keeps every deploy's processes alive.

A table of state and event: `epoll` over pidfds, the control socket and the front door's link. Decisions are pure (`restart`,
`intent`); what acts decides nothing.
"""
