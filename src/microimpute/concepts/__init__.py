"""One survey's side of concepts, for every crosswalk that it is a side of; and the bridges that it has."""
