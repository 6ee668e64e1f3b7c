"""What instruments need beside their estimate: checks of input, first stages, tests, and sets that weak ones cannot hurt."""
