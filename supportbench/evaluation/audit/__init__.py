"""The audit: whether a reward can be trusted, shown by policies that try to earn it dishonestly and by an oracle."""
