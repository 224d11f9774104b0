"""Text of manifests: YAML, and what of it has the shape that is expected."""

from collections.abc import Mapping
from typing import Any

from trivet.errors import InvalidFile
from trivet.model.build_plan import SourceTree


def read_yaml(tree: SourceTree, path: str) -> Mapping[str, Any]:
    """What the file maps; nothing if there is none. Raises: InvalidFile."""
    import yaml  # 20 ms that only an app with such a file needs

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        data = yaml.load(tree.read(path) or "", Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise InvalidFile(f"{path}:{line}: this is no valid YAML.", hint="Mend it and commit it.") from error
    return data if isinstance(data, dict) else {}


def write_yaml(data: Mapping[str, Any]) -> str:
    """The text of a file that maps this."""
    import yaml

    return yaml.safe_dump(dict(data), sort_keys=False)


def strings(value: object) -> Mapping[str, str]:
    """Of a mapping, the entries whose values are texts."""
    if not isinstance(value, dict):
        return {}
    return {str(name): text for name, text in value.items() if isinstance(text, str)}
