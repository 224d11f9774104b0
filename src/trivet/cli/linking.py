"""What a release has to do with others, in words."""

from trivet.flows.links import Links
from trivet.model.release import Record


def link_facts(links: Links) -> list[tuple[str, str]]:
    """The facts of `releases show`; empty where there is nothing to tell."""
    return [
        ("left", f"{links.left.name}, which ran before" if links.left else ""),
        ("promoted", ", ".join(f"to {each.release.deploy.name} as {_name(each)}" for each in links.promoted)),
        ("back", ", ".join(f"as {_name(each)}" for each in links.brought_back)),
        ("left by", ", ".join(f"{_name(each)}, a rollback{_to(each)}" for each in links.left_by)),
    ]


def _name(record: Record) -> str:
    return record.release.name if record.is_good else f"{record.release.name} ({record.outcome.state.value})"


def _to(record: Record) -> str:
    return f" to v{record.release.origin.number}" if record.release.origin else ""
