"""Episodes on a Ray cluster: a real one, of two workers on this machine."""
