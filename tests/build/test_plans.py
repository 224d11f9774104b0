"""Plans as they were when somebody last looked at them: data, in `plans/`, one file a case.

After a change that is meant: `TRIVET_WRITE_PLANS=1 .venv/bin/pytest tests/build/test_plans.py`, and read the difference.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.planning import plan_of
from trivet.model.document import to_json

PLANS = Path(__file__).parent / "plans"
GO_MAIN = "package main\n\nfunc main() {}\n"
COMMANDS = "[build]\ncommands = ['make {assets}']\n[build.environment]\nMODE = 'fast'\n"

GEMFILE_LOCK = """GEM
  remote: https://rubygems.org/
  specs:
    nokogiri (1.16.7)
      racc (~> 1.4)
    nokogiri (1.16.7-x86_64-linux)
      racc (~> 1.4)
    propshaft (1.1.0)
    puma (6.4.3)
    racc (1.8.1)
    railties (7.2.2)

GEM
  remote: https://gems.example.org/
  specs:
    inhouse (0.1.0)

PLATFORMS
  ruby
  x86_64-linux

DEPENDENCIES
  puma
"""

CASES: Mapping[str, Mapping[str, str]] = {
    "go-modules": {
        "go.mod": "module example.org/shop\n\ngo 1.21\n\nrequire example.org/greeting v1.0.0\n",
        "go.sum": "",
        "main.go": GO_MAIN,
    },
    "go-vendored": {
        "go.mod": "module example.org/shop/v2\n\ngo 1.21\n\nrequire example.org/greeting v1.0.0\n",
        "vendor/modules.txt": "",
        "cmd/web/main.go": GO_MAIN,
        "cmd/report/main.go": GO_MAIN,
    },
    "go-commands": {
        "go.mod": "module shop\nrequire (\n\texample.org/greeting v1.0.0\n)\n",
        "go.sum": "",
        "main.go": GO_MAIN,
        "trivet.toml": COMMANDS,
    },
    "docker": {
        "Dockerfile": 'FROM scratch\nCMD ["/server"]\n',
        "trivet.toml": "[build.environment]\nMODE = '{fast}'\n",
    },
    "php-composer": {"composer.json": "{}", "composer.lock": "{}", "Procfile": "web: x\n", "trivet.toml": COMMANDS},
    "php-vendored": {
        "composer.json": "{}",
        "composer.lock": "{}",
        "package.json": "{}",
        "vendor/composer/installed.json": "",
        "Procfile": "web: x\n",
    },
    "php-alone": {"public/index.php": "", "Procfile": "web: x\n"},
    "rust-crate": {
        "Cargo.toml": "[package]\nname = 'shop'\nversion = '0.1.0'\n",
        "Cargo.lock": "",
        "src/main.rs": "",
        "trivet.toml": COMMANDS,
    },
    "rust-vendored": {
        "Cargo.toml": "[package]\nname = 'shop'\nversion = '0.1.0'\n",
        "Cargo.lock": "",
        "src/bin/web.rs": "",
        "src/bin/mail/main.rs": "",
        "vendor/greeting/.cargo-checksum.json": "",
    },
    "ruby-rails": {
        "Gemfile": "",
        "Gemfile.lock": GEMFILE_LOCK,
        "bin/rails": "",
        "config.ru": "",
        "package.json": "{}",
        "trivet.toml": COMMANDS,
    },
    "ruby-vendored": {
        "Gemfile": "",
        "Gemfile.lock": GEMFILE_LOCK,
        "config.ru": "",
        "vendor/cache/puma-6.4.3.gem": "",
    },
}


def _shown(value: Any) -> Any:
    """The value as JSON, without what is as it is by default."""
    if dataclasses.is_dataclass(value):
        fields = [field for field in dataclasses.fields(value) if not _is_default(field, getattr(value, field.name))]
        return {field.name: _shown(getattr(value, field.name)) for field in fields}
    if isinstance(value, Mapping):
        return {key: _shown(item) for key, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, tuple) else to_json(value)


def _is_default(field: "dataclasses.Field[Any]", value: object) -> bool:
    made = field.default_factory is not dataclasses.MISSING and value == field.default_factory()
    return made or (field.default is not dataclasses.MISSING and value == field.default)


@pytest.mark.parametrize("case", CASES)
def test_a_plan_is_what_it_was(case: str) -> None:
    text = json.dumps(_shown(plan_of(CASES[case])), indent=2, ensure_ascii=False) + "\n"
    path = PLANS / f"{case}.json"
    if os.environ.get("TRIVET_WRITE_PLANS"):
        path.write_text(text)
    assert text == path.read_text()


def test_every_plan_that_is_kept_is_one_of_the_cases() -> None:
    assert {path.stem for path in PLANS.iterdir()} == set(CASES)
