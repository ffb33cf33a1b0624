"""Wing 3: m estimates become one; numpy and scipy.special only."""
