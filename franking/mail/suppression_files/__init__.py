"""A suppression list as a file: ours, and those that other services export."""
