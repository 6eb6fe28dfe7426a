"""What `scripts/bench` measures, and how. Standard library only."""
