"""Real SSH keys, made by ssh-keygen."""

import subprocess
from pathlib import Path


class Key:
    """A new key pair in a folder; `allows` is its line in a file of allowed signers."""

    def __init__(self, folder: Path, name: str, *, passphrase: str = "") -> None:
        self.path = folder / name
        argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", str(self.path))
        subprocess.run(argv, check=True)
        self.name = name
        self.public = self.path.with_suffix(".pub").read_text().strip()

    @property
    def allows(self) -> str:
        return f"{self.name}@example.org {self.public}\n"

    @property
    def fingerprint(self) -> str:
        shown = subprocess.run(("ssh-keygen", "-lf", str(self.path)), check=True, capture_output=True, text=True)
        return shown.stdout.split()[1]
