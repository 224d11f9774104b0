"""Pen: what a person signs with. The key is used by ssh-keygen or the agent, and never read by us.

Most commands hold a pen, and few sign: what runs programs is imported when it is needed.
"""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from trivet.model.frozen import frozen

if TYPE_CHECKING:
    from trivet.host.signatures import SshKeygen

_NAME_ONE = (
    "Name the file of an SSH key: --sign ~/.ssh/id_ed25519. If it has a passphrase, add it to the agent first: ssh-add."
)


class NotSigned(Exception):
    """Nothing was signed: why, what to do, and what ssh-keygen said."""

    def __init__(self, why: str, hint: str, detail: tuple[str, ...] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint
        self.detail = detail


@frozen
class Pen:
    """What a person signs with: the path of a key ("": git's `user.signingKey`, else the agent's first), and their environment.

    The repository may have a `user.signingKey` of its own.
    """

    key: str
    repository: Path
    caller: Mapping[str, str] = field(repr=False)

    def sign(self, content: bytes, namespace: str) -> bytes:
        """The signature, one for this namespace alone. Raises: NotSigned, MachineError."""
        from trivet.host.signatures import SshKeygen, is_public

        program = SshKeygen(namespace, self.caller)
        key = str(Path(self.key).expanduser().absolute()) if self.key else self._default_key(program)
        try:
            return program.sign(content, key)
        except ChildProcessError as error:
            shown = key if self.key or not is_public(key) else " ".join(key.split()[::2])
            raise NotSigned(
                f"ssh-keygen cannot sign with {shown}.", _NAME_ONE, tuple(str(error).splitlines())
            ) from error

    def _default_key(self, program: "SshKeygen") -> str:
        """What git would sign with, if that is an SSH key; else the agent's first."""
        from trivet.host.git import Git

        git = Git(self.repository)
        if git.ask("config", "--get", "gpg.format").text == "ssh":
            chosen = git.ask("config", "--type=path", "--get", "user.signingKey").text
            if chosen:
                return chosen.removeprefix("key::")
        if (first := program.first_of_agent()) is not None:
            return first
        raise NotSigned(
            "There is no key to sign with: git has no SSH key as user.signingKey, and no agent has a key.",
            "Name one: --sign ~/.ssh/id_ed25519. Or for good: git config --global gpg.format ssh && "
            "git config --global user.signingKey ~/.ssh/id_ed25519.",
        )
