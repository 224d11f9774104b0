"""What a `trivet.toml` says of the commands that run around a release: `[release]`. It travels with the build."""

from trivet.model.frozen import frozen


@frozen
class ReleaseSettings:
    """How long the release command and each hook may take, and how the database's schema is asked for its marker.

    `requires_signature`: while a release with this setting serves, the deploy takes only signed releases.
    `schema` is the name of a tool that `model/schema.py` knows, or a shell command (None: nobody asks).
    """

    timeout_s: float = 900.0
    hook_timeout_s: float = 60.0
    schema: str | None = None
    requires_signature: bool = False
