"""Commands of the command line, one file each, and what all of them share."""
