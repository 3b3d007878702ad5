"""Which promise of which peer is held by which test; `python -m tests.contract` writes the table.

The rows are those of the five services whose applications must work here unchanged (S0 to S4).  A
test that shows a row is named after it (`test_s0_15_…`) or marked with it
(`@pytest.mark.row("S0-15")`).
"""
