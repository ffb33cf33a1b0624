"""Before there is anything to impute: values made missing on purpose, causal diagrams, and what a rehearsal found."""
