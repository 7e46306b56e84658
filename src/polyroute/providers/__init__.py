"""How we talk to models: one adapter per kind of company's API, over one transport seam."""
