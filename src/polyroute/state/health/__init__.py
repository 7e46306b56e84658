"""How deployments are doing: breakers, rests that providers asked for, and what further attempts may cost in all."""
