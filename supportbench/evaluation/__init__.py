"""Evaluating agents: play episodes, keep them in a journal, sum them up."""
