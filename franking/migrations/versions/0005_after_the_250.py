"""After the 250: events that are read in order, suppression, endpoints, the accounting log.

Whoever reads events begins with what happens from now on.
"""

import sqlalchemy as sa
from alembic import op

from franking.migrations.partitioning import partition_all

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KINDS = (
    "kind in ('accepted', 'held', 'released', 'delivered', 'deferred', 'bounced', 'expired',"
    " 'rejected', 'voided', 'suppressed', 'sandboxed', 'requeued', 'notified', 'complained',"
    " 'unsubscribed')"
)
REASONS = "reason in ('hard_bounce', 'soft_bounce', 'complaint', 'unsubscribe', 'manual')"


TAGS = {  # of messages that were there before, each once
    "sqlite": "SELECT DISTINCT queue_id, node, substr(value, 1, 64), account_id, accepted_at"
    " FROM message, json_each(message.tags)",
    "postgresql": "SELECT DISTINCT queue_id, node, substr(value, 1, 64), account_id, accepted_at"
    " FROM message, json_array_elements_text(message.tags) AS value",
}


def make_filters() -> None:
    """Whoever filters messages reads an index, not all messages."""
    op.create_table(
        "message_tag",
        sa.Column("queue_id", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["queue_id", "node"],
            ["message.queue_id", "message.node"],
            name=op.f("fk_message_tag_queue_id_node_message"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("queue_id", "node", "tag", name=op.f("pk_message_tag")),
    )
    op.execute(
        "INSERT INTO message_tag (queue_id, node, tag, account_id, accepted_at) "
        + TAGS[op.get_bind().dialect.name]
    )
    newest_first = ["accepted_at", "queue_id"]
    for name, table, columns in (
        ("ix_message_tag_account_id_tag", "message_tag", ["account_id", "tag", *newest_first]),
        ("ix_message_account_id_status", "message", ["account_id", "status", *newest_first]),
        ("ix_message_credential_id", "message", ["credential_id", *newest_first]),
        ("ix_message_message_id", "message", ["message_id"]),
    ):
        op.create_index(name, table, columns)
    sender, address = sa.text("lower(from_address)"), sa.text("lower(address)")
    op.create_index("ix_message_account_id_from", "message", ["account_id", sender, *newest_first])
    op.create_index("ix_message_recipient_address", "message_recipient", [address, "queue_id"])


def upgrade() -> None:
    op.create_table(
        "address_block",
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("receiver", sa.String(length=253), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("remote_ip", sa.String(length=45), nullable=True),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("queue_id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("node", "receiver", name=op.f("pk_address_block")),
    )
    op.create_table(
        "event_reader",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_event_reader")),
    )
    op.create_table(
        "tally",
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=48), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node", "name", name=op.f("pk_tally")),
    )
    op.create_table(
        "accounting_file",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("first_event_id", sa.BigInteger(), nullable=False),
        sa.Column("last_event_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_accounting_file_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounting_file")),
        sa.UniqueConstraint(
            "account_id",
            "format",
            "sequence",
            name=op.f("uq_accounting_file_account_id_format_sequence"),
        ),
    )
    with op.batch_alter_table("accounting_file", schema=None) as batch_op:
        batch_op.create_index("ix_accounting_file_created_at", ["created_at"], unique=False)

    op.create_table(
        "sftp_access",
        sa.Column(
            "account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("username", sa.String(length=32), nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.Column("password_hash", sa.String(length=128), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_sftp_access_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_sftp_access")),
        sa.UniqueConstraint("username", name=op.f("uq_sftp_access_username")),
    )
    op.create_table(
        "soft_failure",
        sa.Column(
            "account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("queue_id", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_soft_failure_account_id_account")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "address", "queue_id", "node", name=op.f("pk_soft_failure")
        ),
    )
    with op.batch_alter_table("soft_failure", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_soft_failure_at"), ["at"], unique=False)

    op.create_table(
        "stream",
        sa.Column(
            "account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("bulk", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_stream_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", "name", name=op.f("pk_stream")),
    )
    op.create_table(
        "endpoint_replay",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "endpoint_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reached", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["endpoint.id"],
            name=op.f("fk_endpoint_replay_endpoint_id_endpoint"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint_replay")),
    )
    with op.batch_alter_table("endpoint_replay", schema=None) as batch_op:
        batch_op.create_index("ix_endpoint_replay_endpoint_id", ["endpoint_id"], unique=False)

    op.create_table(
        "endpoint_attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("took", sa.Double(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("request_headers", sa.JSON(), nullable=False),
        sa.Column("response_headers", sa.JSON(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["endpoint_delivery.id"],
            name=op.f("fk_endpoint_attempt_delivery_id_endpoint_delivery"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint_attempt")),
    )
    with op.batch_alter_table("endpoint_attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_endpoint_attempt_at"), ["at"], unique=False)
        batch_op.create_index("ix_endpoint_attempt_delivery_id", ["delivery_id"], unique=False)

    with op.batch_alter_table("endpoint", schema=None) as batch_op:
        batch_op.add_column(sa.Column("domains", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(
            sa.Column("credentials", sa.JSON(), server_default="[]", nullable=False)
        )
        batch_op.add_column(sa.Column("tags", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("streams", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("batch", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("warned_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("endpoint_delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("events", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("queue_id", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("node", sa.String(length=63), nullable=True))
        batch_op.alter_column("body", existing_type=sa.TEXT(), nullable=True)
        batch_op.create_index("ix_endpoint_delivery_queue_id", ["queue_id", "node"], unique=False)
        batch_op.create_index(
            "ix_endpoint_delivery_dead",
            ["endpoint_id", "id"],
            unique=False,
            sqlite_where=sa.text("dead_at IS NOT NULL"),
            postgresql_where=sa.text("dead_at IS NOT NULL"),
        )

    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.add_column(sa.Column("category", sa.String(length=24), nullable=True))
        batch_op.drop_constraint(op.f("ck_event_kind"), type_="check")
        batch_op.create_check_constraint(op.f("ck_event_kind"), KINDS)
        batch_op.add_column(
            sa.Column("xid", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        )
        batch_op.create_index("ix_event_xid", ["xid", "id"], unique=False)

    make_filters()
    with op.batch_alter_table("suppression", schema=None) as batch_op:
        batch_op.add_column(sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("event_id", sa.BigInteger(), nullable=True))
        batch_op.drop_constraint(op.f("ck_suppression_reason"), type_="check")
        batch_op.create_check_constraint(op.f("ck_suppression_reason"), REASONS)
        batch_op.create_index(batch_op.f("ix_suppression_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index("ix_suppression_account_id_id", ["account_id", "id"], unique=False)

    begin_reading()


def begin_reading() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column(
            "event", "xid", server_default=sa.text("(pg_current_xact_id()::text::bigint)")
        )
        partition_all()
    for reader in ("webhooks", "accounting"):
        op.execute(
            "INSERT INTO event_reader (name, xid, event_id, read_at)"
            f" SELECT '{reader}', 0, coalesce(max(id), 0), CURRENT_TIMESTAMP FROM event"
        )


def downgrade() -> None:
    """Not back: events of new kinds would have to go."""
    raise NotImplementedError
