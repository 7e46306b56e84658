"""Wire formats, both as doors and as upstreams. Pure: no network, no disk, no clock."""
