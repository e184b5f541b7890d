"""How far a judge agrees with people, and with itself: labels, verdicts, and the figures that follow."""
