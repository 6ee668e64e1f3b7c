"""What instruments need beside their estimate: checks of the input, first stages, tests, and sets that weak ones cannot hurt."""
