"""Signatures by SSH keys, made and checked by ssh-keygen as git has it do. No private key is ever read into this process.

https://man.openbsd.org/ssh-keygen.1#Y, and its section on allowed signers.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from trivet.errors import MachineError
from trivet.host.command import Answer, Command, capture
from trivet.model.frozen import frozen

_DEADLINE_S = 120.0  # somebody may have to touch a hardware key
_FINGERPRINT = re.compile(r"\bSHA256:[A-Za-z0-9+/]+")
_KEPT = ("HOME", "SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")
_PUBLIC = ("ssh-", "ecdsa-", "sk-")


@frozen
class Signer:
    """Who signed: the name that the file of allowed signers gives the key (None: it does not list it), its fingerprint."""

    name: str | None
    fingerprint: str


def is_public(key: str) -> bool:
    """Whether this is a public key, and no path of a file."""
    return key.startswith(_PUBLIC)


@frozen
class SshKeygen:
    """ssh-keygen, for signatures of one kind: one made in another namespace is none here."""

    namespace: str
    caller: Mapping[str, str]

    def sign(self, content: bytes, key: str) -> bytes:
        """The signature. `key` is the path of a private key, or of a public one that the agent has the other half of, or
        the public key itself. Raises: ChildProcessError with ssh-keygen's words, MachineError if there is none.
        """
        with tempfile.TemporaryDirectory() as folder:
            message = Path(folder, "message")
            message.write_bytes(content)
            if key.startswith(_PUBLIC):
                Path(folder, "key.pub").write_text(f"{key}\n")
                key = str(Path(folder, "key.pub"))
            answer = self._ask("-Y", "sign", "-f", key, "-n", self.namespace, str(message))
            signature = Path(folder, "message.sig")
            if answer.status != 0 or not signature.is_file():
                raise ChildProcessError(answer.err.strip())
            return signature.read_bytes()

    def verify(self, content: bytes, signature: Path, signers: Path) -> Signer | None:
        """Who signed the content; None: nobody did, the signature is not one of it. Raises: MachineError."""
        good = self._ask("-Y", "check-novalidate", "-n", self.namespace, "-s", str(signature), given=content)
        if good.status != 0:
            return None
        found = _FINGERPRINT.search(good.text + good.err)
        for name in self._principals(signature, signers):
            options = ("-f", str(signers), "-I", name, "-n", self.namespace, "-s", str(signature))
            if self._ask("-Y", "verify", *options, given=content).status == 0:
                return Signer(name, found[0] if found else "")
        return Signer(None, found[0] if found else "")

    def first_of_agent(self) -> str | None:
        """The agent's first public key; None if there is no agent, or it has none."""
        answer = capture(Command(("ssh-add", "-L"), Path("/"), self._environment(), _DEADLINE_S))
        first = answer.text.partition("\n")[0]
        return first if answer.status == 0 and first.startswith(_PUBLIC) else None

    def _principals(self, signature: Path, signers: Path) -> Iterator[str]:
        """The names that the file gives the key. A line may list several, separated by commas."""
        answer = self._ask("-Y", "find-principals", "-s", str(signature), "-f", str(signers))
        if answer.status == 0:
            for line in answer.text.splitlines():
                yield from line.split(",")

    def _ask(self, *arguments: str, given: bytes = b"") -> Answer:
        if shutil.which("ssh-keygen", path=self._environment()["PATH"]) is None:
            raise MachineError(
                "There is no ssh-keygen on this machine, which makes and checks signatures.",
                hint="Install it, for example with `apt-get install openssh-client`.",
            )
        argv = ("ssh-keygen", *arguments)
        return capture(Command(argv, Path("/"), self._environment(), _DEADLINE_S, given=given))

    def _environment(self) -> Mapping[str, str]:
        kept = {name: self.caller[name] for name in _KEPT if name in self.caller}
        return {**kept, "PATH": self.caller.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
