"""The submission contract: rules of plans and credentials, counters, suppressions, holds, nodes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


MESSAGE_STATES = (
    "queued", "held", "deferred", "delivered", "bounced", "expired", "partial", "voided",
    "suppressed", "sandboxed",
)  # fmt: skip
EVENT_KINDS = (
    "accepted", "held", "released", "delivered", "deferred", "bounced", "expired", "rejected",
    "voided", "suppressed", "sandboxed",
)  # fmt: skip


def widen(table: str, column: str, values: tuple[str, ...]) -> None:
    name = op.f(f"ck_{table}_{column}")
    with op.batch_alter_table(table) as batch_op:
        batch_op.drop_constraint(name, type_="check")
        listed = ", ".join(repr(value) for value in values)
        batch_op.create_check_constraint(name, f"{column} in ({listed})")


def upgrade() -> None:
    op.create_table(
        "auth_failure",
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_auth_failure")),
    )
    with op.batch_alter_table("auth_failure", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_auth_failure_last_at"), ["last_at"], unique=False)

    op.create_table(
        "node",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("overload", sa.String(length=200), nullable=True),
        sa.Column("queued", sa.Integer(), nullable=True),
        sa.Column("oldest_seconds", sa.Double(), nullable=True),
        sa.Column("load", sa.Double(), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('active','draining')", name=op.f("ck_node_state")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_node")),
    )
    op.create_table(
        "rate_counter",
        sa.Column("subject", sa.String(length=96), nullable=False),
        sa.Column("unit", sa.String(length=8), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "unit", "starts_at", name=op.f("pk_rate_counter")),
    )
    with op.batch_alter_table("rate_counter", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rate_counter_starts_at"), ["starts_at"], unique=False)

    op.create_table(
        "idempotency_key",
        sa.Column(
            "account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("queue_id", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_idempotency_key_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", "mode", "key", name=op.f("pk_idempotency_key")),
    )
    with op.batch_alter_table("idempotency_key", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_idempotency_key_created_at"), ["created_at"], unique=False
        )

    op.create_table(
        "message_alias",
        sa.Column("queue_id", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("first_queue_id", sa.String(length=32), nullable=False),
        sa.Column("first_node", sa.String(length=63), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_message_alias_account_id_account")
        ),
        sa.PrimaryKeyConstraint("queue_id", "node", name=op.f("pk_message_alias")),
    )
    with op.batch_alter_table("message_alias", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_message_alias_at"), ["at"], unique=False)

    op.create_table(
        "suppression",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("scope_name", sa.String(length=253), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "reason in ('hard_bounce', 'complaint', 'unsubscribe', 'manual')",
            name=op.f("ck_suppression_reason"),
        ),
        sa.CheckConstraint(
            "scope in ('account', 'domain', 'stream')", name=op.f("ck_suppression_scope")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_suppression_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression")),
        sa.UniqueConstraint(
            "account_id",
            "address",
            "scope",
            "scope_name",
            name=op.f("uq_suppression_account_id_address_scope_scope_name"),
        ),
    )
    op.create_table(
        "credential_use",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "credential_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("secret_hint", sa.String(length=8), nullable=False),
        sa.Column("client_ip", sa.String(length=45), nullable=False),
        sa.Column("client_helo", sa.String(length=255), nullable=True),
        sa.Column("listener", sa.String(length=32), nullable=True),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["credential.id"],
            name=op.f("fk_credential_use_credential_id_credential"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential_use")),
        sa.UniqueConstraint(
            "credential_id",
            "secret_hint",
            "client_ip",
            name=op.f("uq_credential_use_credential_id_secret_hint_client_ip"),
        ),
    )
    op.create_table(
        "held_message",
        sa.Column("queue_id", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "credential_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("release_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_held_message_account_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["credential.id"],
            name=op.f("fk_held_message_credential_id_credential"),
        ),
        sa.ForeignKeyConstraint(
            ["queue_id", "node"],
            ["message.queue_id", "message.node"],
            name=op.f("fk_held_message_queue_id_node_message"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("queue_id", "node", name=op.f("pk_held_message")),
    )
    with op.batch_alter_table("held_message", schema=None) as batch_op:
        batch_op.create_index(
            "ix_held_message_waiting",
            ["credential_id", "node", "held_at"],
            unique=False,
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    with op.batch_alter_table("credential", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sealed_secret", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("previous_sha256", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("previous_hint", sa.String(length=8), nullable=True))
        batch_op.add_column(sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("stream", sa.String(length=32), server_default="default", nullable=False)
        )
        batch_op.add_column(sa.Column("rules", sa.Text(), server_default="{}", nullable=False))
        batch_op.add_column(
            sa.Column("source_networks", sa.JSON(), server_default="[]", nullable=False)
        )
        batch_op.add_column(
            sa.Column("sending_domains", sa.JSON(), server_default="[]", nullable=False)
        )
        batch_op.add_column(
            sa.Column("allow_plaintext", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("last_used_helo", sa.String(length=255), nullable=True))

    with op.batch_alter_table("domain", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("allow_subdomains", sa.Boolean(), server_default=sa.false(), nullable=False)
        )

    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.add_column(sa.Column("metadata", sa.JSON(), server_default="{}", nullable=False))
        batch_op.add_column(
            sa.Column("mode", sa.String(length=8), server_default="live", nullable=False)
        )
        batch_op.add_column(sa.Column("return_path", sa.String(length=320), nullable=True))
        batch_op.add_column(sa.Column("counted", sa.JSON(none_as_null=True), nullable=True))

    with op.batch_alter_table("plan", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rules", sa.Text(), server_default="{}", nullable=False))

    widen("message", "status", MESSAGE_STATES)
    widen("event", "kind", EVENT_KINDS)


def downgrade() -> None:
    """Held mail, suppressions and restrictions of keys would be forgotten: that is no way back."""
    raise NotImplementedError
