"""What is done where more comes than one process can do: fewer are let in, each team in its turn; the rest are told so.

`limit` finds how many may be under way, `crowd` who of those that come, `entrance` does it on connections.
"""
