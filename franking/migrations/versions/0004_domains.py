"""Domains: checks of their records, rotation of keys, DMARC reports, a node's own checks.

What was verified is checked from now on, spread over a day.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

DAY = 24 * 60 * 60  # seconds
STRIDE = 53_399  # about DAY / 1.618, and without a common divisor


def upgrade() -> None:
    op.create_table(
        "node_check",
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=48), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("fix", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status in ('ok', 'warn', 'fail')", name=op.f("ck_node_check_status")),
        sa.PrimaryKeyConstraint("node", "name", "subject", name=op.f("pk_node_check")),
    )
    op.create_table(
        "zone_entry",
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("published", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_zone_entry")),
    )
    _create_reports()
    _create_used_selectors()
    op.create_table(
        "dmarc_source",
        sa.Column(
            "domain_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=True),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("verdict in ('mine', 'foreign')", name=op.f("ck_dmarc_source_verdict")),
        sa.ForeignKeyConstraint(
            ["domain_id"],
            ["domain.id"],
            name=op.f("fk_dmarc_source_domain_id_domain"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("domain_id", "source", name=op.f("pk_dmarc_source")),
    )
    op.create_table(
        "dns_check",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "domain_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=320), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("fault", sa.String(length=32), nullable=True),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["domain_id"],
            ["domain.id"],
            name=op.f("fk_dns_check_domain_id_domain"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dns_check")),
        sa.UniqueConstraint(
            "domain_id", "purpose", "name", name=op.f("uq_dns_check_domain_id_purpose_name")
        ),
    )
    op.create_table(
        "dmarc_row",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "report_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("source_ip", sa.String(length=45), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("disposition", sa.String(length=16), nullable=False),
        sa.Column("dkim_aligned", sa.Boolean(), nullable=False),
        sa.Column("spf_aligned", sa.Boolean(), nullable=False),
        sa.Column("header_from", sa.String(length=253), nullable=False),
        sa.Column("envelope_from", sa.String(length=253), nullable=True),
        sa.Column("dkim_domains", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["report_id"],
            ["dmarc_report.id"],
            name=op.f("fk_dmarc_row_report_id_dmarc_report"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dmarc_row")),
    )
    with op.batch_alter_table("dmarc_row", schema=None) as batch_op:
        batch_op.create_index("ix_dmarc_row_report_id", ["report_id"], unique=False)

    with op.batch_alter_table("dkim_key", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("state", sa.String(length=8), server_default="active", nullable=False)
        )
        batch_op.add_column(
            sa.Column("method", sa.String(length=8), server_default="txt", nullable=False)
        )
        batch_op.add_column(sa.Column("activate_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("told_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("remove_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_check_constraint(
            op.f("ck_dkim_key_state"), "state in ('pending', 'active', 'retiring')"
        )

    with op.batch_alter_table("domain", schema=None) as batch_op:
        batch_op.add_column(sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("check_due_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("warned_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("dkim_method", sa.String(length=8), server_default="txt", nullable=False)
        )
        batch_op.add_column(sa.Column("dkim_token", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("dkim_due_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column(
                "return_path_host", sa.String(length=63), server_default="bounce", nullable=False
            )
        )
        batch_op.add_column(sa.Column("return_path_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("tracking_host", sa.String(length=63), nullable=True))
        batch_op.add_column(sa.Column("dmarc_token", sa.String(length=32), nullable=True))
        batch_op.add_column(
            sa.Column("dmarc_stage", sa.String(length=16), server_default="none", nullable=False)
        )
        batch_op.add_column(sa.Column("dmarc_since", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("dmarc_days", sa.Integer(), server_default="30", nullable=False)
        )
        batch_op.create_check_constraint(
            op.f("ck_domain_dkim_method"), "dkim_method in ('txt', 'cname')"
        )
        batch_op.create_check_constraint(
            op.f("ck_domain_dmarc_stage"), "dmarc_stage in ('none', 'quarantine', 'reject')"
        )
        batch_op.create_index("ix_domain_check_due_at", ["check_due_at"], unique=False)
        batch_op.create_index("ix_domain_dkim_due_at", ["dkim_due_at"], unique=False)
        batch_op.create_index(
            "uq_domain_dmarc_token",
            ["dmarc_token"],
            unique=True,
            sqlite_where=sa.text("dmarc_token IS NOT NULL"),
            postgresql_where=sa.text("dmarc_token IS NOT NULL"),
        )
    _give_addresses()
    op.execute("UPDATE dkim_key SET activated_at = created_at")
    op.execute(
        "UPDATE dkim_key SET state = 'retiring', remove_at = CURRENT_TIMESTAMP WHERE NOT active"
    )
    with op.batch_alter_table("dkim_key", schema=None) as batch_op:
        batch_op.drop_column("active")
    _spread()
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("ck_account_status"), type_="check")
        batch_op.create_check_constraint(
            op.f("ck_account_status"), "status in ('active','suspended','closed')"
        )


def _create_reports() -> None:
    op.create_table(
        "dmarc_report",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "domain_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("org_name", sa.String(length=255), nullable=False),
        sa.Column("report_id", sa.String(length=255), nullable=False),
        sa.Column("begin_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"],
            ["domain.id"],
            name=op.f("fk_dmarc_report_domain_id_domain"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dmarc_report")),
        sa.UniqueConstraint(
            "domain_id",
            "org_name",
            "report_id",
            name=op.f("uq_dmarc_report_domain_id_org_name_report_id"),
        ),
    )
    with op.batch_alter_table("dmarc_report", schema=None) as batch_op:
        batch_op.create_index(
            "ix_dmarc_report_domain_id_begin_at", ["domain_id", "begin_at"], unique=False
        )
        batch_op.create_index(
            "ix_dmarc_report_domain_id_received_at", ["domain_id", "received_at"], unique=False
        )
        batch_op.create_index("ix_dmarc_report_received_at", ["received_at"], unique=False)


def _create_used_selectors() -> None:
    op.create_table(
        "used_selector",
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("selector", sa.String(length=63), nullable=False),
        sa.PrimaryKeyConstraint("domain", "selector", name=op.f("pk_used_selector")),
    )
    op.execute(
        "INSERT INTO used_selector (domain, selector) SELECT DISTINCT domain.name, selector"
        " FROM dkim_key JOIN domain ON domain.id = dkim_key.domain_id"
    )


def _spread() -> None:
    """Each domain's first look at a time of its own, within a day; neighbours far apart."""
    after = f"(id * {STRIDE} % {DAY})"
    due = f"CURRENT_TIMESTAMP + {after} * INTERVAL '1 second'"
    if op.get_bind().dialect.name == "sqlite":
        due = f"datetime('now', '+' || {after} || ' seconds')"
    op.execute(f"UPDATE domain SET check_due_at = {due}, dkim_due_at = {due}")


def _give_addresses() -> None:
    """Where reports about each domain are sent to."""
    token = sa.text("UPDATE domain SET dmarc_token = :token WHERE id = :id")
    for row in op.get_bind().execute(sa.text("SELECT id FROM domain")).all():
        op.get_bind().execute(token, {"token": secrets.token_hex(8), "id": row.id})


def downgrade() -> None:
    """Not back: keys that wait for their turn would sign at once."""
    raise NotImplementedError
