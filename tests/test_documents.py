"""What the documents say of the code is so: variables, commands, files, tests, floors."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]
# An installation of 200 KB pictures is cloned quickly.
MAX_PICTURE_BYTES = 200_000

FLOORS = [
    {
        "failures",
        "money",
        "display",
        "written",
        "errors",
        "lifeline",
        "logs",
        "postgresql",
        "troubles",
    },
    {"models", "queue"},
    {"providers"},
    {"datasets", "prompts", "costs", "teams", "notices"},
    {"engine"},
    {"control"},
    {"web", "api", "management", "templatetags", "demo"},
]


def section(name: str) -> str:
    return README.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]


def test_the_readme_names_every_variable_of_the_settings_and_no_other() -> None:
    settings = (ROOT / "batchllm" / "settings.py").read_text()
    read = set(re.findall(r'\b(?:env(?:\.\w+)?|_secret)\(\s*"([A-Z_]+)"', settings))
    assert len(read) > 15
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", section("Configuration"), re.MULTILINE)) == read


def test_no_other_module_reads_the_environment_behind_the_settings() -> None:
    """What starts processes hands the environment on; it reads nothing of its own from it."""
    named = {}
    for path in [*(ROOT / "jobs").rglob("*.py"), *(ROOT / "batchllm").rglob("*.py")]:
        for name in re.findall(
            r'environ(?:\.\w+\(|\[)\s*"([A-Z_]+)"|getenv\("([A-Z_]+)"', path.read_text()
        ):
            named["".join(name)] = path.name
    assert named.keys() <= {"DATA_DIR", "DJANGO_SETTINGS_MODULE", "Q_CLUSTER_NAME"}


def test_the_readme_names_every_command_and_no_other() -> None:
    own = {path.stem for path in (ROOT / "jobs/management/commands").glob("[a-z]*.py")}
    listed = set(re.findall(r"^\| `([a-z_]+)", section("Commands"), re.MULTILINE))
    assert listed - {"createsuperuser", "check"} == own


def test_the_composition_hands_on_only_what_the_settings_know() -> None:
    known = set(re.findall(r"^\| `([A-Z_]+)` \|", section("Configuration"), re.MULTILINE))
    compose = (ROOT / "compose.yaml").read_text()
    handed = compose.split("environment: &environment", 1)[1].split("volumes:", 1)[0]
    assert set(re.findall(r"^ +([A-Z_]+):", handed, re.MULTILINE)) <= known
    asked = set(re.findall(r"\$\{([A-Z_]+)", compose)) - {"PORT"}
    filled_in = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    required = set(re.findall(r"\$\{([A-Z_]+):\?", compose))
    assert required <= filled_in <= asked <= known | {"POSTGRES_PASSWORD"}


def test_what_the_documents_point_to_is_there() -> None:
    missing = []
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#\s]+)\)", document.read_text()):
            if "://" not in target and not (document.parent / target).exists():
                missing.append(f"{document.name}: {target}")
    assert missing == []


def test_the_places_and_tests_that_the_documents_name_are_there() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in ("state-machines.md", "life-of-a-record.md", "add-a-provider.md", "guarantees.md"):
        text = (ROOT / "docs" / name).read_text()
        for path in re.findall(r"`((?:[\w-]+/)+\w+\.py)`", text):
            assert any((ROOT / base / path).exists() for base in ("", "jobs")), f"{name}: {path}"
        for test in re.findall(r"`(test_\w+)`", text):
            assert f"def {test}(" in tests, f"{name}: {test}"


def test_pictures_are_small() -> None:
    for path in (ROOT / "docs" / "images").iterdir():
        assert path.stat().st_size < MAX_PICTURE_BYTES, path.name


def test_imports_go_downwards_only() -> None:
    floor_of = {name: floor for floor, names in enumerate(FLOORS) for name in names}
    wrong = []
    for path in (ROOT / "jobs").rglob("*.py"):
        part = path.relative_to(ROOT / "jobs").parts[0].removesuffix(".py")
        for used in _used_parts(path):
            if part == "simulator":
                allowed = used == "simulator"
            elif used == "simulator":
                allowed = part == "management"
            else:
                allowed = part not in floor_of or floor_of[used] <= floor_of[part]
            if not allowed:
                wrong.append(f"{path.relative_to(ROOT)} imports jobs.{used}")
    assert wrong == []


def _used_parts(path: Path) -> set[str]:
    """The packages and modules directly below `jobs` that a module imports."""
    used = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "jobs":
            used |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jobs."):
            used.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            used |= {a.name.split(".")[1] for a in node.names if a.name.startswith("jobs.")}
    return used
