"""Import targets. A target brings its record types, its staging tables and its merge, and no more."""
