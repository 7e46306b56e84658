"""Whether a text may have to be kept out: by spelling on this machine, then a moderation model, then a large one."""
