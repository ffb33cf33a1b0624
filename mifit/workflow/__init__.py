"""What the verbs of df.mice and ImputedSet do, one module each."""
