"""From a plan to chains: every missing value drawn, sweep by sweep."""
