"""How Alembic reaches the database: the one in the deploy's own folder."""

import os
from logging.config import fileConfig

from alembic import context
from sqlalchemy import create_engine

fileConfig(context.config.config_file_name)
with create_engine(f"sqlite:///{os.environ['TRIVET_STORAGE']}/books.db").begin() as connection:
    context.configure(connection=connection)
    context.run_migrations()
