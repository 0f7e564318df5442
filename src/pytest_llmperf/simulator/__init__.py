"""A simulated LLM API: a profile of figures, the behaviour that follows from it, and two ways to serve it."""
