"""Config: keys and values, the marks that keys carry, and what differs between two."""

from trivet.model.config import Config, ConfigChange, Marking, compare


def test_a_key_keeps_its_marks_when_its_value_changes() -> None:
    config = Config({"A": "1", "B": "2"}, secret=("A",), live=("A", "B"))
    assert config.changed({"A": "3"}) == Config({"A": "3", "B": "2"}, secret=("A",), live=("A", "B"))


def test_the_marks_of_a_key_go_with_it() -> None:
    config = Config({"A": "1", "B": "2"}, secret=("A",), live=("A", "B"))
    assert config.changed({"A": None}) == Config({"B": "2"}, live=("B",))


def test_marks_are_put_on_and_taken_off_by_key() -> None:
    config = Config({"A": "1", "B": "2"}, secret=("A",))
    marked = config.changed({"C": "3"}, Marking(secret={"A": False, "C": True, "B": True}, live={"B": True}))
    assert marked == Config({"A": "1", "B": "2", "C": "3"}, secret=("B", "C"), live=("B",))
    assert marked.marks("B") == ("secret", "live")


def test_a_comparison_tells_the_marks_that_keys_have_from_now_on() -> None:
    old = Config({"A": "1", "B": "2", "C": "3", "D": "4"}, secret=("A", "B"), live=("D",))
    new = Config({"A": "1", "B": "9", "C": "3", "E": "5"}, secret=("B", "E"), live=("C",))
    assert compare(old, new) == ConfigChange(
        added=("E",), changed=("B",), removed=("D",), marks={"A": (), "C": ("live",), "E": ("secret",)}
    )
    assert not compare(new, new)


def test_no_value_shows_in_a_repr() -> None:
    assert "hunter2" not in repr(Config({"A": "hunter2"}, secret=("A",)))
