"""Stage 4: the plan carried out, attempt by attempt: retries, fallback, escalation, money held and settled."""
