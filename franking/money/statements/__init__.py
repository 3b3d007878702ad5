"""What was used and what it cost: daily totals, monthly statements, numbered invoices."""
