"""Posts what is in the outbox of webhooks to customers' endpoints."""
