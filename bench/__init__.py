"""What the gateway costs: CPU, added latency, memory, start and size, each measured beside its own yardstick.

`python -m bench` runs all of it; README.md says how to read the figures, RESULTS.md keeps the recorded ones.
Nothing here leaves loopback, and every process that is started is ended.
"""
