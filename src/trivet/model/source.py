"""Source: one commit's tree."""

from trivet.model.frozen import frozen


@frozen
class Source:
    """What a build is made from. `commit` and `tree` are full git object names; `authored_at` is ISO 8601 in UTC.

    `directory` is the app's folder inside the repository, "" for its top; `repository` is where the commit was
    taken from.
    """

    commit: str
    tree: str
    subject: str
    author: str
    authored_at: str
    directory: str
    repository: str

    @property
    def short(self) -> str:
        return self.commit[:8]


@frozen
class CommitLine:
    """A commit as a list shows it."""

    commit: str
    subject: str
    author: str
