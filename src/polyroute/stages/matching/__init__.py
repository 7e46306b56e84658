"""Stage 2: which deployments can serve the request, and why each other one cannot."""
