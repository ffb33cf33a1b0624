"""One imputation as one value: what came in, what was decided, what was drawn, and the call that asks for it."""
