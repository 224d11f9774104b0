"""`trivet config edit`, with real editors on a real terminal."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.apps import shop
from support.command import Trivet, eventually
from support.repository import Repository
from support.terminal import Terminal
from trivet.flows.editable import UNCHANGED, read_editable, write_editable
from trivet.host.mounts import find_memory_folder
from trivet.model.config import Config
from trivet.model.names import parse_deploy

Editor = Callable[[str], None]
SHOP = parse_deploy("shop/production")


@pytest.fixture
def deployed(trivet: Trivet, repository: Repository) -> Trivet:
    """A shop with a secret and a greeting."""
    repository.commit(shop("v1"), "Open the shop")
    trivet.ok("deploy")
    trivet.ok("config", "set", "GREETING=hello", "OLD=1")
    trivet.ok("config", "set", "--secret", "TOKEN=-", input="hunter2")
    return trivet


@pytest.fixture
def editor(trivet: Trivet) -> Editor:
    """Makes an editor: a shell script that is given the file as $2."""
    trivet.environment.update(EDITOR=f"{trivet.folder.parent}/editor --wait", NO_COLOR="1")

    def make(script: str) -> None:
        path = trivet.folder.parent / "editor"
        path.write_text(f'#!/bin/sh\nset -e\necho "$2" > {trivet.folder.parent}/path\n{script}\n')
        path.chmod(0o755)

    return make


def edited_path(trivet: Trivet) -> Path:
    """The file that the editor was given."""
    return Path((trivet.folder.parent / "path").read_text().strip())


def test_all_that_was_edited_is_one_release(deployed: Trivet, editor: Editor) -> None:
    editor(
        'cp "$2" seen; stat -c %a "$2" "$(dirname "$2")" > modes\n'
        'sed -i -e "s/^GREETING=.*/GREETING=\\"good day\\"/" -e /^OLD=/d "$2"; echo NEW=1 >> "$2"; cp "$2" "$2~"'
    )
    terminal = Terminal(deployed, "config", "edit", "-m", "tidy up")
    assert terminal.end() == 0
    assert "+ NEW\n~ GREETING\n- OLD\n" in terminal.shown
    assert "is live at" in terminal.shown
    assert deployed.ok("run", "sh", "-c", "echo $GREETING $NEW $TOKEN $OLD").out == "good day 1 hunter2\n"
    (newest, *_) = deployed.ok("releases", "--json").json()
    assert (newest["release"], newest["reason"]) == (4, "tidy up")
    seen = (deployed.folder / "seen").read_text()
    assert seen.endswith("\n\nGREETING=hello\nOLD=1\nTOKEN=<unchanged>\n")
    assert (deployed.folder / "modes").read_text() == "600\n700\n"
    path = edited_path(deployed)
    assert not path.parent.exists()
    assert path.name == "shop-production.env"
    if memory := find_memory_folder():
        assert path.is_relative_to(memory)


def test_nothing_edited_is_nothing_changed(deployed: Trivet, editor: Editor) -> None:
    for script in ("true", ': > "$2"', 'rm "$2"', 'echo "# a remark" >> "$2"'):
        editor(script)
        terminal = Terminal(deployed, "config", "edit")
        assert terminal.end() == 0
        assert terminal.shown == "shop/production: nothing was changed\n"
        assert not edited_path(deployed).parent.exists()
    assert len(deployed.ok("releases", "--json").json()) == 3


def test_what_cannot_be_read_can_be_edited_again(deployed: Trivet, editor: Editor) -> None:
    editor(
        "if [ -e again ]; then sed -i 's/^oops.*/MENDED=1/' \"$2\"; else touch again; echo 'oops this is' >> \"$2\"; fi"
    )
    terminal = Terminal(deployed, "config", "edit")
    terminal.expect("Edit again? [Y/n]: ")
    assert "shop-production.env:8: this line cannot be read." in terminal.shown
    terminal.type("y\n")
    assert terminal.end() == 0
    assert deployed.ok("run", "printenv", "MENDED").out == "1\n"


UNREADABLE = {
    "echo 'oops this is' >> \"$2\"": (
        "error: shop-production.env:8: this line cannot be read.\n"
        "hint:  Write KEY=value, KEY='value with spaces', or # and a comment. Nothing was changed.\n"
    ),
    'echo GREETING=1 >> "$2"': (
        "error: shop-production.env:8: GREETING is given twice.\nhint:  Give each key once. Nothing was changed.\n"
    ),
    'echo PORT=1 >> "$2"': (
        "error: PORT is set by Trivet for every process and cannot be part of the config.\n"
        "hint:  Choose another name. docs/reference/environment.md lists what Trivet sets.\n"
    ),
    'echo "A=<unchanged>" >> "$2"': (
        "error: A has no value that could stay unchanged.\n"
        "hint:  Write a value in place of <unchanged>. Nothing was changed.\n"
    ),
    "printf 'A=\\377\\n' > \"$2\"": (
        "error: shop-production.env: byte 2 is not UTF-8 text.\nhint:  Save the file as UTF-8. Nothing was changed.\n"
    ),
}
GAVE_UP = "error: Nothing was changed.\nhint:  `trivet config edit` begins again, from the config as it is.\n"


def test_who_gives_up_changes_nothing(deployed: Trivet, editor: Editor) -> None:
    for script, told in UNREADABLE.items():
        editor(script)
        terminal = Terminal(deployed, "config", "edit")
        terminal.expect("Edit again? [Y/n]: ")
        terminal.type("n\n")
        assert terminal.end() == 130
        assert terminal.shown == f"{told}Edit again? [Y/n]: n\n{GAVE_UP}"
        assert not edited_path(deployed).parent.exists()
    assert len(deployed.ok("releases", "--json").json()) == 3


def test_an_editor_that_fails_or_is_not_there_changes_nothing(deployed: Trivet, editor: Editor) -> None:
    editor('echo A=1 >> "$2"; exit 3')
    terminal = Terminal(deployed, "config", "edit")
    assert terminal.end() == 50
    assert f"error: The editor {deployed.folder.parent}/editor ended with exit status 3." in terminal.shown
    assert not edited_path(deployed).parent.exists()
    deployed.environment["VISUAL"] = "no-such-editor -w"
    terminal = Terminal(deployed, "config", "edit")
    assert terminal.end() == 50
    assert "error: There is no editor 'no-such-editor', which $VISUAL names." in terminal.shown
    done = deployed.run("config", "edit")
    assert (done.status, done.out) == (2, "")
    assert done.err == "error: An editor needs a terminal.\nhint:  For programs: trivet config set --file FILE\n"


def test_the_file_is_gone_when_the_command_is_ended(deployed: Trivet, editor: Editor) -> None:
    editor("trap '' INT; echo editing; while :; do sleep 0.1; done")
    terminal = Terminal(deployed, "config", "edit")
    terminal.expect("editing\n")
    path = edited_path(deployed)
    assert path.is_file()
    terminal.type("\x03")  # the editor's own affair
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.end() == 130
    assert not path.parent.exists()
    assert "Interrupted; nothing was changed." in terminal.shown


def test_what_a_killed_command_left_is_gone_with_the_next(deployed: Trivet, editor: Editor) -> None:
    editor("echo $$ > pid; echo editing; while :; do sleep 0.1; done")
    terminal = Terminal(deployed, "config", "edit")
    terminal.expect("editing\n")
    path = edited_path(deployed)
    terminal.process.kill()
    terminal.end()
    os.kill(int((deployed.folder / "pid").read_text()), signal.SIGKILL)
    assert path.is_file()
    editor("true")
    assert Terminal(deployed, "config", "edit").end() == 0
    eventually(lambda: not path.parent.exists())


def test_a_config_that_no_release_may_have_can_be_edited_again(
    trivet: Trivet, repository: Repository, editor: Editor
) -> None:
    files = shop("v1")
    repository.commit({**files, "trivet.toml": f'{files["trivet.toml"]}\n[config.WORKERS]\ntype = "int"\n'})
    trivet.ok("config", "set", "WORKERS=1")
    trivet.ok("deploy")
    editor('if [ -e again ]; then sed -i s/many/3/ "$2"; else touch again; sed -i s/WORKERS=1/WORKERS=many/ "$2"; fi')
    terminal = Terminal(trivet, "config", "edit")
    terminal.expect("Edit again? [Y/n]: ")
    assert "| WORKERS is no int\n" in terminal.shown
    terminal.type("\n")
    assert terminal.end() == 0
    assert trivet.ok("run", "printenv", "WORKERS").out == "3\n"


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "x y",
        "a'b",
        'a"b',
        "a\\b",
        "a\\'b",
        "\\n",
        "two\nlines\n",
        "#x",
        "x #y",
        "${A}",
        "=",
        "☕",
        "'q'",
        "\t",
    ],
)
def test_a_value_comes_back_from_an_editor_as_it_was(value: str) -> None:
    config = Config({"A": value, "B": "it's\nmine", "C": value, "D": "'"})
    text = write_editable(SHOP, config)
    assert UNCHANGED not in text.split("\n\n", 1)[1]
    assert read_editable(text, config, "x.env") == {}
    assert read_editable(text, Config({"OTHER": "1"}), "x.env") == {**config.values, "OTHER": None}


@pytest.mark.parametrize("value", ["x y\\", "a\rb", "\x1b[31m", "\u2028"])
def test_a_value_that_no_line_could_hold_stands_as_unchanged(value: str) -> None:
    config = Config({"A": value, "B": "it's"})
    text = write_editable(SHOP, config)
    assert "A=<unchanged>\nB='it\\'s'\n" in text
    assert read_editable(text, config, "x.env") == {}
    assert read_editable(text.replace("A=<unchanged>", "A=2"), config, "x.env") == {"A": "2"}
