"""What a node does about itself once a second: held mail, its own condition, old rows."""
