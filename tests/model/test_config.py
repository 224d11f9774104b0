"""Config: keys and values, their marks, what differs between two, and what a rollback makes of them."""

from trivet.model.config import Config, ConfigChange, Fate, Marking, compare, fates, roll_back


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


def test_a_rollback_takes_the_targets_config_but_live_keys_as_they_are() -> None:
    present = Config({"A": "new", "B": "new", "NEW": "1", "KEPT": "1"}, secret=("A", "B"), live=("B", "KEPT"))
    target = Config({"A": "old", "B": "old", "GONE": "0"}, secret=("GONE",), live=("A",))
    assert roll_back(present, target) == Config(
        {"A": "old", "B": "new", "GONE": "0", "KEPT": "1"}, secret=("A", "B", "GONE"), live=("B", "KEPT")
    )
    assert fates(present, target) == {
        "A": Fate.GOES_BACK,
        "B": Fate.KEEPS,
        "GONE": Fate.COMES_BACK,
        "KEPT": Fate.KEEPS,
        "NEW": Fate.TAKEN_AWAY,
    }


def test_a_rollback_between_equal_configs_changes_no_key() -> None:
    config = Config({"A": "1", "B": "2"}, live=("A",))
    assert roll_back(config, config) == config
    assert fates(config, config) == {}
