"""What the targets of two donors have to do with each other: bounds, repair by reordering, overlap with receivers."""
