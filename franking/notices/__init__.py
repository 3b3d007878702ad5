"""What an account has to be told that is about no single message: its balance, its payments."""
