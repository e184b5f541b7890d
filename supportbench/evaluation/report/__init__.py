"""The report of one run or several: one HTML file that needs nothing else, or a short form in Markdown."""
