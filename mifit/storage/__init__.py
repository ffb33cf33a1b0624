"""Studies and finished chains in files: plain data only, checked before anything is used, never a pickle."""
