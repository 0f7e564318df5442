"""The vocabulary: frozen values, the metrics table, prices, and the one rule that judges. No I/O, no clock."""
