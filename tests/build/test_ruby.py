"""Ruby: what is planned for a Gemfile, and gems really installed, from a vendored folder and from a gem server."""

import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.building import Builder
from support.planning import error_of, processes_of
from support.toolchains import needs
from trivet.errors import DetectionError, LockfileError, StepFailed
from trivet.model.home import Home

pytestmark = needs("ruby", "bundler", "cc")

GEMFILE = 'source "https://rubygems.org"\n\ngem "greeting", "1.0.0"\n'
LOCK = """GEM
  remote: {remote}
  specs:
{specs}
PLATFORMS
  ruby

DEPENDENCIES
  greeting (= 1.0.0)
"""
SPEC = """
Gem::Specification.new do |gem|
  gem.name, gem.version, gem.summary, gem.authors = "greeting", "1.0.0", "A greeting", ["Ada"]
  gem.files = Dir["lib/*.rb"] + Dir["ext/**/*"]
  gem.extensions = Dir["ext/*/extconf.rb"]
end
"""
EXTENSION = """
#include <ruby.h>

static VALUE hello(VALUE self) { return rb_str_new_cstr("hello from C"); }

void Init_greeting(void) { rb_define_singleton_method(rb_define_module("Greeting"), "hello", hello, 0); }
"""


def _lock(*gems: str, remote: str = "https://rubygems.org/") -> str:
    return LOCK.format(remote=remote, specs="".join(f"    {gem}\n" for gem in gems))


def _gem(folder: Path, files: Mapping[str, str]) -> bytes:
    """A gem of these files."""
    for name, content in {"greeting.gemspec": SPEC, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    argv = ("gem", "build", "--silent", "greeting.gemspec", "--output", "made.gem")
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return (folder / "made.gem").read_bytes()


PURE = {"lib/greeting.rb": 'module Greeting\n  def self.hello = "hello from Ruby"\nend\n'}
NATIVE = {
    "ext/greeting/extconf.rb": 'require "mkmf"\ncreate_makefile("greeting")\n',
    "ext/greeting/greeting.c": EXTENSION,
}
RAILS = {"Gemfile.lock": _lock("puma (6.4.3)", "railties (7.2.2)"), "bin/rails": "", "config.ru": ""}


@pytest.mark.parametrize(
    ("files", "web"),
    [
        (RAILS, "bin/rails server --binding 127.0.0.1 --port $PORT --pid $TMPDIR/server.pid"),
        ({**RAILS, "Procfile": "web: mine\n"}, "mine"),
        ({**RAILS, "package.json": "{}"}, "bin/rails server --binding 127.0.0.1 --port $PORT --pid $TMPDIR/server.pid"),
        (
            {"Gemfile.lock": _lock("puma (6.4.3)"), "config.ru": ""},
            "bundle exec puma --bind tcp://127.0.0.1:$PORT",
        ),
    ],
)
def test_the_web_process_of_rails_and_of_rack(files: dict[str, str], web: str) -> None:
    assert processes_of({"Gemfile": "", **files}) == {"web": web}


def test_a_rack_app_without_a_server_is_an_error() -> None:
    assert error_of({"Gemfile": "", "Gemfile.lock": _lock("rack (3.1.8)"), "config.ru": ""}, DetectionError) == (
        "There is no Procfile, and no obvious way to start this app: there is a config.ru, but puma is not among the gems.",
        (
            "Add puma with `bundle add puma`; then `bundle exec puma --bind tcp://127.0.0.1:$PORT` is run. "
            "Or commit a file called Procfile with a command that serves on 127.0.0.1:$PORT."
        ),
    )


def test_an_app_of_no_framework_is_an_error() -> None:
    assert error_of({"Gemfile": "", "Gemfile.lock": _lock()}, DetectionError) == (
        (
            "There is no Procfile, and no obvious way to start this app: there is neither bin/rails with Rails among the gems, "
            "nor a config.ru."
        ),
        (
            "Commit a file called Procfile with a command that serves on 127.0.0.1:$PORT, "
            "for example `web: bundle exec ruby server.rb`."
        ),
    )


def test_a_gemfile_without_a_lockfile_is_an_error() -> None:
    assert error_of({"Gemfile": GEMFILE}, LockfileError) == (
        "There is Gemfile, but no Gemfile.lock that says which versions to install.",
        "Run `bundle lock` and commit Gemfile.lock.",
    )


def test_a_gem_that_is_a_repository_must_be_in_the_commit() -> None:
    lock = "GIT\n  remote: https://example.org/greeting.git\n  revision: 1a2b\n  specs:\n    greeting (1.0.0)\n"
    assert error_of({"Gemfile": GEMFILE, "Gemfile.lock": lock, "Procfile": "web: x"}, LockfileError) == (
        "Gemfile.lock names a gem that is a git repository, and such a gem is not in the commit.",
        "Run `bundle config set cache_all true` and `bundle cache`, and commit the folder vendor/cache.",
    )


def _vendor(builder: Builder, gem: bytes) -> None:
    path = builder.repository.path / "vendor" / "cache" / "greeting-1.0.0.gem"
    path.parent.mkdir(parents=True)
    path.write_bytes(gem)
    builder.repository.write({"Gemfile": GEMFILE, "Gemfile.lock": _lock("greeting (1.0.0)"), "Procfile": "web: x\n"})


def _says(builder: Builder) -> str:
    build = builder.build().build
    argv = 'bundle exec ruby -e \'require "greeting"; File.write(ENV["OUT"], Greeting.hello)\''
    out = builder.repository.path.parent / "out"
    with builder.start(build, argv, {"OUT": str(out)}) as process:
        assert process.wait(60) == 0
    return out.read_text()


@pytest.mark.slow
def test_a_gem_with_an_extension_is_compiled_and_the_same_in_another_home(builder: Builder, tmp_path: Path) -> None:
    _vendor(builder, _gem(tmp_path / "gem", NATIVE))
    builder.repository.commit({})
    assert _says(builder) == "hello from C"
    assert set(builder.told.phases) == {None, "compile"}
    one = builder.build().build
    two = Builder(Home(tmp_path / "a" / "much" / "longer" / "home"), builder.repository).build().build
    assert one.layers == two.layers
    for path in builder.bundle(one).rglob("*"):
        assert not path.is_file() or str(tmp_path).encode() not in path.read_bytes(), path


class _Gems(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def gems(tmp_path: Path) -> Iterator[str]:
    """The address of a gem server that has greeting 1.0.0."""
    (tmp_path / "site" / "gems").mkdir(parents=True)
    (tmp_path / "site" / "gems" / "greeting-1.0.0.gem").write_bytes(_gem(tmp_path / "gem", PURE))
    argv = ("gem", "generate_index", "--silent", "--directory", str(tmp_path / "site"))
    subprocess.run(argv, check=True, capture_output=True)
    handler = functools.partial(_Gems, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow
def test_gems_are_fetched_without_asking_the_gemfile(builder: Builder, gems: str) -> None:
    builder.repository.commit(
        {
            "Gemfile": f'File.write("/dev/stderr", "asked\\n")\n{GEMFILE}'.replace("https://rubygems.org", gems),
            "Gemfile.lock": _lock("greeting (1.0.0)", remote=gems),
            "Procfile": "web: x\n",
        }
    )
    assert _says(builder) == "hello from Ruby"
    assert list(zip(builder.told.steps[1:], builder.told.phases[1:], strict=True)) == [
        (f"downloading 1 gems from {gems}", "fetch"),
        ("collecting gems", "fetch"),
        ("installing gems from Gemfile.lock", "compile"),
        ("tidying gems", "compile"),
    ]
    assert builder.told.lines.index("Downloaded greeting-1.0.0") < builder.told.lines.index("asked")


@pytest.mark.slow
def test_a_lockfile_that_lacks_a_gem_is_an_error(builder: Builder, tmp_path: Path) -> None:
    _vendor(builder, _gem(tmp_path / "gem", PURE))
    with pytest.raises(LockfileError) as caught:
        builder.commit({"Gemfile": f'{GEMFILE}gem "rake"\n'})
    assert caught.value.message == "Gemfile.lock does not match its manifest."
    assert caught.value.hint == (
        "Bundler's words say which gem or which Ruby it is about. If Gemfile was changed: "
        "run `bundle lock` and commit Gemfile.lock."
    )
    assert any("* rake" in line for line in caught.value.detail)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "said", "status"),
    [
        ({"Gemfile": f'ruby "9.9.9"\n{GEMFILE}'}, "your Gemfile specified 9.9.9", 18),
        ({"Gemfile": f"{GEMFILE}no such thing\n"}, "There was an error parsing `Gemfile`", 29),
    ],
)
def test_what_bundler_refuses_is_told_in_its_words(
    builder: Builder, tmp_path: Path, files: dict[str, str | None], said: str, status: int
) -> None:
    _vendor(builder, _gem(tmp_path / "gem", PURE))
    with pytest.raises(StepFailed) as caught:
        builder.commit(files)
    assert caught.value.message == f"Installing gems from Gemfile.lock ended with exit status {status}."
    assert any(said in line for line in caught.value.detail)
