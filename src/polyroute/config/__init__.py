"""What was written down: the document `polyroute.yaml`, from text to typed values.

`read` is the whole way for a file; `load` makes the values, `check` holds them against each other. What is built
from them is `wiring.py`'s business.
"""
