"""The table of books."""

import sqlalchemy as sa
from alembic import op

revision = "1f0c0de50001"
down_revision = None


def upgrade():
    op.create_table("books", sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", sa.Text, nullable=False))


def downgrade():
    op.drop_table("books")
