"""What a run's figures are worth: intervals, repeats, calibration, latencies; and runs compared ticket by ticket."""
