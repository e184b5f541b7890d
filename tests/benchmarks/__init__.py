"""Programs that measure and print. The tests beside them see that they run, and assert no time."""
