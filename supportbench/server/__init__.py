"""Serving what is installed over the OpenEnv protocol."""
