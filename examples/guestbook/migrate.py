"""The release command: brings the database's tables up to date before the new release takes over."""

import book

book.migrate()
