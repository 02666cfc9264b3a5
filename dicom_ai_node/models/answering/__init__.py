"""Known answers: cases, comparisons, disturbances."""
