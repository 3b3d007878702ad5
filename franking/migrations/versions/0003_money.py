"""Money: terms of plans, tiers, deposits, usage, invoices, notices, webhooks.

A price per message becomes a price list with tiers.  SQLite copies a table to alter it, and the
copy of the ledger needs its triggers again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    price_lists()
    ledger()
    columns()
    tables()
    daily_totals()


def price_lists() -> None:
    op.create_table(
        "price_list",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tiers", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_price_list_plan_id_plan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_list")),
        sa.UniqueConstraint("plan_id", "starts_at", name=op.f("uq_price_list_plan_id_starts_at")),
    )
    op.execute(
        "INSERT INTO price_list (id, plan_id, tiers, starts_at)"
        " SELECT id, plan_id, '[[0, ' || unit_price || ']]', starts_at FROM price_tier"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('price_list', 'id'),"
            " (SELECT coalesce(max(id), 0) + 1 FROM price_list), false)"
        )
    with op.batch_alter_table("reservation", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "capped_credential_id",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                nullable=True,
            )
        )
        batch_op.add_column(sa.Column("units", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("tier", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(
            sa.Column(
                "price_list_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(sa.Column("parts", sa.JSON(none_as_null=True), nullable=True))
        batch_op.drop_constraint(op.f("ck_reservation_state"), type_="check")
        batch_op.create_check_constraint(
            op.f("ck_reservation_state"),
            "state in ('waiting','reserved','captured','voided','unknown')",
        )
    op.execute("UPDATE reservation SET price_list_id = price_tier_id")
    with op.batch_alter_table("reservation", schema=None) as batch_op:
        batch_op.alter_column("price_list_id", nullable=False)
        batch_op.drop_constraint(
            op.f("fk_reservation_price_tier_id_price_tier"), type_="foreignkey"
        )
        batch_op.create_foreign_key(
            op.f("fk_reservation_price_list_id_price_list"), "price_list", ["price_list_id"], ["id"]
        )
        batch_op.drop_column("price_tier_id")
        batch_op.create_index(
            "ix_reservation_unsettled",
            ["state", "reserved_at"],
            unique=False,
            sqlite_where=sa.text("state in ('waiting','unknown')"),
            postgresql_where=sa.text("state in ('waiting','unknown')"),
        )
    op.drop_table("price_tier")


def ledger() -> None:
    with op.batch_alter_table("ledger_entry", schema=None) as batch_op:
        batch_op.add_column(sa.Column("event_id", sa.BigInteger(), nullable=True))
        batch_op.drop_constraint(op.f("ck_ledger_entry_book"), type_="check")
        batch_op.create_check_constraint(
            op.f("ck_ledger_entry_book"),
            "book in ('available','held','revenue','deposits','refunds','adjustments')",
        )
        by_hand = "book = 'available' and cause in ('deposit','reversal','adjustment','fee')"
        batch_op.create_index(
            "ix_ledger_entry_account_id_at",
            ["account_id", "at"],
            unique=False,
            sqlite_where=sa.text(by_hand),
            postgresql_where=sa.text(by_hand),
        )
        lines = (
            "book = 'held' and cause = 'capture' or book = 'available'"
            " and cause in ('deposit','reversal','adjustment','fee','refund')"
        )
        batch_op.create_index(
            "ix_ledger_entry_lines",
            ["account_id", "cause", "at", "id"],
            unique=False,
            sqlite_where=sa.text(lines),
            postgresql_where=sa.text(lines),
        )
    if op.get_bind().dialect.name == "sqlite":
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER ledger_entry_no_{event} BEFORE {event} ON ledger_entry"
                " BEGIN SELECT RAISE(ABORT, 'ledger_entry is append-only'); END"
            )


def columns() -> None:
    with op.batch_alter_table("balance", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("ck_balance_available"), type_="check")
        batch_op.add_column(
            sa.Column("volume", sa.BigInteger(), server_default="0", nullable=False)
        )
        batch_op.add_column(sa.Column("period", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("spent", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("spent_on", sa.Date(), nullable=True))

    with op.batch_alter_table("credential", schema=None) as batch_op:
        batch_op.add_column(sa.Column("spent", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("spent_on", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("cap_told_on", sa.Date(), nullable=True))

    with op.batch_alter_table("held_message", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("unpaid", sa.Boolean(), server_default=sa.false(), nullable=False)
        )

    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("refunded", sa.BigInteger(), server_default="0", nullable=False)
        )

    with op.batch_alter_table("plan", schema=None) as batch_op:
        batch_op.add_column(sa.Column("terms", sa.Text(), server_default="{}", nullable=False))


def tables() -> None:
    op.create_table(
        "billing_settings",
        sa.Column(
            "account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("daily_cap", sa.BigInteger(), nullable=True),
        sa.Column("low_balance_at", sa.BigInteger(), nullable=True),
        sa.Column("alerts_by_mail", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("topup_below", sa.BigInteger(), nullable=True),
        sa.Column("topup_amount", sa.BigInteger(), nullable=True),
        sa.Column("topup_failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("topup_last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("invoice_name", sa.String(length=200), nullable=True),
        sa.Column("invoice_address", sa.Text(), nullable=True),
        sa.Column("tax_id", sa.String(length=64), nullable=True),
        sa.Column("low_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("empty_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cap_told_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_billing_settings_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_billing_settings")),
    )
    op.create_table(
        "deposit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=32), nullable=False),
        sa.Column("provider_reference", sa.String(length=255), nullable=True),
        sa.Column("payment_reference", sa.String(length=255), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("paid", sa.BigInteger(), nullable=False),
        sa.Column("taken_back", sa.BigInteger(), nullable=False),
        sa.Column("reversed", sa.BigInteger(), nullable=False),
        sa.Column("credited", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=True),
        sa.Column("pay_url", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "provider in ('manual', 'stripe', 'btcpay')", name=op.f("ck_deposit_provider")
        ),
        sa.CheckConstraint(
            "state in ('pending', 'paid', 'expired', 'failed', 'reversed')",
            name=op.f("ck_deposit_state"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_deposit_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deposit")),
        sa.UniqueConstraint(
            "provider", "provider_reference", name=op.f("uq_deposit_provider_provider_reference")
        ),
        sa.UniqueConstraint("reference", name=op.f("uq_deposit_reference")),
    )
    with op.batch_alter_table("deposit", schema=None) as batch_op:
        batch_op.create_index("ix_deposit_account_id_id", ["account_id", "id"], unique=False)
        batch_op.create_index(
            "ix_deposit_pending",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        batch_op.create_index(
            "uq_deposit_in_flight",
            ["account_id"],
            unique=True,
            sqlite_where=sa.text("automatic AND state = 'pending'"),
            postgresql_where=sa.text("automatic AND state = 'pending'"),
        )
        batch_op.create_index(
            batch_op.f("ix_deposit_payment_reference"), ["payment_reference"], unique=False
        )

    op.create_table(
        "endpoint",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_previous", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_endpoint_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint")),
    )
    with op.batch_alter_table("endpoint", schema=None) as batch_op:
        batch_op.create_index("ix_endpoint_account_id", ["account_id"], unique=False)

    op.create_table(
        "invoice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("period", sa.Date(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_invoice_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("account_id", "period", name=op.f("uq_invoice_account_id_period")),
        sa.UniqueConstraint("number", name=op.f("uq_invoice_number")),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("mail_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mailed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mail_attempts", sa.Integer(), nullable=False),
        sa.Column("mail_error", sa.String(length=200), nullable=True),
        sa.Column("mail_results", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_notice_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
    )
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.create_index("ix_notice_account_id_id", ["account_id", "id"], unique=False)
        batch_op.create_index("ix_notice_at", ["at"], unique=False)
        batch_op.create_index(
            "ix_notice_mail_due_at",
            ["mail_due_at"],
            unique=False,
            sqlite_where=sa.text("mail_due_at IS NOT NULL"),
            postgresql_where=sa.text("mail_due_at IS NOT NULL"),
        )

    op.create_table(
        "saved_card",
        sa.Column(
            "account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("customer_reference", sa.String(length=255), nullable=False),
        sa.Column("method_reference", sa.String(length=255), nullable=True),
        sa.Column("label", sa.String(length=64), nullable=True),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_saved_card_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_saved_card")),
    )
    with op.batch_alter_table("saved_card", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_saved_card_customer_reference"), ["customer_reference"], unique=False
        )

    op.create_table(
        "usage_day",
        sa.Column(
            "account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("dimension", sa.String(length=16), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("value", sa.String(length=128), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("recipients", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "dimension in ('account', 'credential', 'domain', 'tag')",
            name=op.f("ck_usage_day_dimension"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_usage_day_account_id_account")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "dimension", "day", "value", name=op.f("pk_usage_day")
        ),
    )
    op.create_table(
        "charge_day",
        sa.Column(
            "account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("tier", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit_price", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_charge_day_account_id_account")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "day", "tier", "unit_price", name=op.f("pk_charge_day")
        ),
    )
    with op.batch_alter_table("charge_day", schema=None) as batch_op:
        batch_op.create_index("ix_charge_day_day_account_id", ["day", "account_id"], unique=False)

    op.create_table(
        "endpoint_delivery",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "endpoint_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("webhook_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dead_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(length=500), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoint.id"], name=op.f("fk_endpoint_delivery_endpoint_id_endpoint")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint_delivery")),
        sa.UniqueConstraint(
            "endpoint_id", "webhook_id", name=op.f("uq_endpoint_delivery_endpoint_id_webhook_id")
        ),
    )
    with op.batch_alter_table("endpoint_delivery", schema=None) as batch_op:
        batch_op.create_index(
            "ix_endpoint_delivery_due",
            ["endpoint_id", "due_at"],
            unique=False,
            sqlite_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
            postgresql_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
        )
        batch_op.create_index(
            "ix_endpoint_delivery_endpoint_id_id", ["endpoint_id", "id"], unique=False
        )
        batch_op.create_index("ix_endpoint_delivery_created_at", ["created_at"], unique=False)

    op.create_table(
        "duty",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("node", sa.String(length=63), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_duty")),
    )
    op.create_table(
        "provider_event",
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column(
            "deposit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["deposit_id"], ["deposit.id"], name=op.f("fk_provider_event_deposit_id_deposit")
        ),
        sa.PrimaryKeyConstraint("provider", "event_id", name=op.f("pk_provider_event")),
    )
    with op.batch_alter_table("provider_event", schema=None) as batch_op:
        batch_op.create_index("ix_provider_event_received_at", ["received_at"], unique=False)


def daily_totals() -> None:
    """Of what was captured so far; statements are made of these.  Tags were not shown before."""
    if op.get_bind().dialect.name == "sqlite":
        settled, accepted = "date(r.settled_at)", "date(m.accepted_at)"
    else:
        settled = "(r.settled_at AT TIME ZONE 'UTC')::date"
        accepted = "(m.accepted_at AT TIME ZONE 'UTC')::date"
    op.execute(
        "INSERT INTO charge_day (account_id, day, tier, unit_price, messages, units, amount, refunded)"
        f" SELECT r.account_id, {settled}, r.tier, r.unit_price, count(*), sum(r.units), sum(r.amount), 0"
        " FROM reservation r WHERE r.state = 'captured' AND r.settled_at IS NOT NULL"
        " GROUP BY 1, 2, 3, 4"
    )
    for dimension, value in (
        ("account", "''"),
        ("credential", "cast(m.credential_id as varchar(20))"),
        ("domain", "cast(m.domain_id as varchar(20))"),
    ):
        op.execute(
            "INSERT INTO usage_day (account_id, dimension, day, value, messages, recipients, amount, refunded)"
            f" SELECT m.account_id, '{dimension}', {accepted}, {value},"
            " count(*), sum(m.recipient_count), sum(r.amount), 0"
            " FROM message m JOIN reservation r ON r.queue_id = m.queue_id AND r.node = m.node"
            " WHERE r.state = 'captured' GROUP BY 1, 3, 4"
        )


def downgrade() -> None:
    """Not back: what was booked under these terms cannot be told in the older schema."""
    raise NotImplementedError
