"""Programs that measure and print; nothing here is collected as a test."""
