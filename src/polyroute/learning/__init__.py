"""Learning from labelled rows: routers are trained, compared with what costs nothing, and proven or refused."""
