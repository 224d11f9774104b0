"""A real app with Alembic's migrations, deployed, migrated and rolled back. Needs the network."""

import shutil
from pathlib import Path

import pytest

import trivet as package
from support.command import Trivet, fetch
from support.repository import Repository

pytestmark = pytest.mark.slow

EXAMPLE = Path(package.__file__).parent.parent.parent / "examples" / "alembic"
SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "2ad0c0de0002"
down_revision = "1f0c0de50001"


def upgrade():
    op.add_column("books", sa.Column("author", sa.Text))


def downgrade():
    op.drop_column("books", "author")
"""


@pytest.mark.fetches
def test_alembic_says_what_the_schema_is_and_a_rollback_across_it_stops(trivet: Trivet, repository: Repository) -> None:
    shutil.copytree(EXAMPLE, repository.path, dirs_exist_ok=True)
    repository.commit({}, "List books")
    done = trivet.ok("deploy")
    assert "release  schema: 1f0c0de50001\n" in done.err
    assert fetch(trivet.url) == (200, "id, title\n")
    repository.commit({"migrations/versions/0002_author.py": SECOND}, "Say who wrote it")
    assert "release  schema: 2ad0c0de0002\n" in trivet.ok("deploy").err
    assert fetch(trivet.url) == (200, "id, title, author\n")
    output = trivet.ok("releases", "output", "v2").out
    assert "INFO Running upgrade 1f0c0de50001 -> 2ad0c0de0002" in output
    assert "schema: alembic current: ended with exit status 0\n" in output
    done = trivet.run("rollback", "--yes")
    assert done.status == 30
    assert (
        "error: v1 was released with the schema 1f0c0de50001, and since v2 the database has 2ad0c0de0002: "
        "the code of v1 may not work with it.\n"
    ) in done.err
    # The old code does not know the newer revision: nothing new is on record, and what was found last goes on counting.
    done = trivet.ok("rollback", "--yes", "--accept-schema")
    assert "note     the schema of v3 is not known: `alembic current`: it ended with exit status " in done.err
    done = trivet.ok("rollback", "v2", "--yes")
    assert "  schema     the same schema (2ad0c0de0002)\n" in done.err
    trivet.ok("run", "alembic", "downgrade", "-1")
    done = trivet.ok("rollback", "v1", "--yes", "--accept-schema")
    assert "release  schema: 1f0c0de50001\n" in done.err
    assert fetch(trivet.url) == (200, "id, title\n")
