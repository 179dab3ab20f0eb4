"""Training: a convex start, then three stages that resume."""
