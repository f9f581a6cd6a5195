"""The rules of the fingerprint, each on a small package: what counts, and what does not."""

from __future__ import annotations

import pytest

from quietpet.fingerprint.sources import Sources
from quietpet.fingerprint.walk import fingerprint_of

FUTURE = "from __future__ import annotations\n"
CALLS_F = "from quietpet.b import f\n\ndef run():\n    return f()\n"


class Package:
    """A package called quietpet, of the files that a test writes."""

    def __init__(self, folder):
        self._folder = folder

    def write(self, files):
        """Texts of files by their paths; without a suffix they are modules."""
        for name, text in files.items():
            path = self._folder / (name if "." in name else f"{name}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self._folder, path.parent):
                (folder / "__init__.py").touch()
            path.write_text(text)

    def fingerprint(self, *roots):
        return fingerprint_of(Sources(self._folder), *(roots or ("a",)))

    def counts(self, name, text):
        """Whether the fingerprint of module a is another with ``text`` in the file ``name``."""
        path = self._folder / (name if "." in name else f"{name}.py")
        before, kept = self.fingerprint(), path.read_text()
        path.write_text(text)
        after = self.fingerprint()
        path.write_text(kept)
        return after != before


@pytest.fixture
def package(tmp_path):
    return Package(tmp_path / "quietpet")


@pytest.mark.parametrize(
    "a",
    [
        CALLS_F,
        "from quietpet import b\n\ndef run():\n    return b.f()\n",
        "import quietpet.b\n\ndef run():\n    return quietpet.b.f()\n",
        "import quietpet.b as other\n\ndef run():\n    return other.f()\n",
        "from .b import f\n\ndef run():\n    return f()\n",
        "from . import b\n\ndef run():\n    return b.f()\n",
        "def run():\n    from quietpet.b import f\n    return f()\n",
        "def run():\n    from quietpet import b\n    return b.f()\n",
        "from quietpet.b import f\n\ndef run(how=f):\n    return how()\n",
        "from quietpet.b import f\n\nHOW = {'f': f}\n\ndef run():\n    return HOW['f']()\n",
        "from quietpet import b\n\ndef run():\n    return apply(b)\n",
        "import importlib\n\ndef run():\n    return importlib.import_module('quietpet.b').f()\n",
        "try:\n    from quietpet.b import f\nfinally:\n    pass\n\ndef run():\n    return f()\n",
        "from quietpet.c import f\n\ndef run():\n    return f()\n",
        "from quietpet.b import f\n\n@f\ndef run():\n    return 1\n",
        "from quietpet.b import K\n\nclass L(K):\n    pass\n\ndef run():\n    return L().m()\n",
    ],
)
def test_what_runs_counts_however_it_is_named(package, a):
    b = "def f():\n    return {0}\n\n\nclass K:\n    def m(self):\n        return {0}\n"
    package.write({"a": a, "b": b.format(1), "c": "from quietpet.b import f\n"})
    assert package.counts("b", b.format(2))


def test_what_nothing_names_does_not_count(package):
    b = "def f():\n    return 1\n\ndef g():\n    return {0}\n\nG = {0}\n"
    package.write(
        {
            "a": CALLS_F,
            "b": b.format(1),
            "c": "X = 1\n",
        }
    )
    assert not package.counts("b", b.format(2))
    assert not package.counts("c", "X = 2\n")
    assert package.fingerprint("a", "c") != package.fingerprint("a")


def test_what_a_module_does_when_it_is_imported_counts(package):
    """Also of one that is imported for nothing else, by way of others, or with its folder."""
    package.write(
        {"a": "import quietpet.room.b\n\ndef run():\n    return 1\n", "room/b": "import quietpet.c\n"}
    )
    package.write({"c": "X = {}\n"})
    assert not package.counts("c", "X = {1: 2}\n")
    assert package.counts("c", "X = {}\nX[1] = 2\n")
    assert package.counts("c", "X = {}\nfor k in (1, 2):\n    X[k] = 2\n")
    assert package.counts("room/__init__", "print('here')\n")


def test_a_decorator_of_the_package_may_note_down_what_it_decorates(package):
    b = "from quietpet.c import known\n\n@known\ndef f():\n    return {0}\n"
    c = "KNOWN = []\n\ndef known(f):\n    KNOWN.append(f)\n    return f\n"
    a = "import quietpet.b\nfrom quietpet.c import KNOWN\n\ndef run():\n    return KNOWN[0]()\n"
    package.write({"a": a, "b": b.format(1), "c": c})
    assert package.counts("b", b.format(2))


@pytest.mark.parametrize(
    "a",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from quietpet.b import K\n\n"
        "def helper(k: K) -> K:\n    return k\n\nclass R:\n    k: K\n",
        "import typing\nif typing.TYPE_CHECKING:\n    import quietpet.b\n",
        "def run():\n    x: quietpet.b.K = 1\n    return x\n",
    ],
)
def test_what_type_checkers_alone_see_does_not_count(package, a):
    b = "X = []\nX.append({0})\n\nclass K:\n    def m(self):\n        return {0}\n"
    package.write({"a": FUTURE + a.replace("def helper", "def _helper"), "b": b.format(1)})
    package.write({"start": "from quietpet import a\n\ndef run():\n    return a.R\n"})
    before = package.fingerprint("start")
    package.write({"b": b.format(2)})
    assert package.fingerprint("start") == before


def test_the_class_of_what_a_step_is_handed_counts(package):
    """Whoever makes it: the command line gives files, which no step makes."""
    a = FUTURE + "from quietpet.b import Files\n\ndef run(files: Files) -> None:\n    files.one()\n"
    b = "class Files:\n    def one(self):\n        return {0}\n"
    package.write({"a": a, "b": b.format(1)})
    assert package.counts("b", b.format(2))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Do it."""', '"""Do."""'),
        ("return x", "return (x)  # why"),
        ("def run(x):", "def run(x: int) -> int:"),
        ("y = 1", "y: int = 1"),
        ('f"no {x}"', '"none of them is here"'),
        ('"a part " + name', '"the part"'),
        ('"asked: %s", x', '"%d", len(str(x))'),
        ('"x is odd"', '"x"'),
        ('"few" if x else "many"', '"more"'),
    ],
)
def test_texts_for_people_do_not_count(package, old, new):
    a = (
        'import logging\n\nlogger = logging.getLogger(__name__)\n\ndef run(x):\n    """Do it."""\n'
        '    name = "few" if x else "many"\n    y = 1\n    logger.info("asked: %s", x)\n'
        '    assert y, "x is odd"\n    if x > 2:\n        raise ValueError(f"no {x}")\n'
        '    if x > 3:\n        raise RuntimeError("a part " + name)\n    return x\n'
    )
    assert old in a
    package.write({"a": a})
    assert not package.counts("a", a.replace(old, new))


HELPERS = (
    "from contextlib import contextmanager\n\n"
    "@contextmanager\ndef reading(path, fault, *, again='do'):\n"
    "    try:\n        yield\n    except OSError:\n"
    "        raise ValueError(f'{path}: {fault}; {again}') from None\n\n"
    "def limit(value, most, what):\n    if value > most:\n"
    "        raise ValueError('too large: ' + what)\n    return value\n"
)
HELPED = (
    "from quietpet import errors\nfrom quietpet.errors import limit\n\ndef run(path, x):\n"
    "    name = 'the size'\n    with errors.reading(path, 'no file', again='make it'):\n"
    "        return limit(x, 3, f'{name} of {path}')\n"
)


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("'no file'", "'damaged'", False),
        ("'make it'", "'write it'", False),
        ("again='make it'", "", False),
        ("f'{name} of {path}'", "'size'", False),
        ("'the size'", "'the length'", False),
        ("limit(x, 3", "limit(x, 4", True),
        ("limit(x, 3", "limit(path, 3", True),
        ("errors.reading", "errors.writing", True),
    ],
)
def test_texts_that_are_handed_to_those_who_raise_them_do_not_count(package, old, new, counts):
    package.write({"a": HELPED, "errors": HELPERS})
    assert package.counts("a", HELPED.replace(old, new).replace(", )", ")")) == counts
    assert not package.counts("errors", HELPERS.replace("again='do'", "again='act'"))
    assert package.counts("errors", HELPERS.replace("value > most", "value >= most"))


def test_an_argument_counts_where_its_evaluation_does_something(package):
    a = "from quietpet.errors import limit\n\ndef run(x, names):\n    return limit(x, 3, names.pop())\n"
    package.write({"a": a, "errors": HELPERS})
    assert package.counts("a", a.replace("names.pop()", "names.popleft()"))


def test_a_function_of_the_same_name_that_is_handed_in_is_another(package):
    a = "from quietpet.errors import limit\n\ndef run(x, limit):\n    return limit(x, 3, 'small')\n"
    package.write({"a": a, "errors": HELPERS})
    assert package.counts("a", a.replace("'small'", "'large'"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("raise ValueError", "raise KeyError"),
        ('"name").write_text(y)', '"name").write_text(x)'),
        ('"name")', '"other")'),
        ('"{}".format(steps)', '"{}".format(y)'),
        ("StopIteration(x)", "StopIteration(y)"),
        ("next(steps)", "x"),
        ("assert y", "assert x"),
        ('return f"{x}"', 'return f"{x}."'),
        ("if x > 2", "if x > 3"),
    ],
)
def test_what_errors_and_logs_stand_for_counts(package, old, new):
    a = (
        "import logging\n\nlogger = logging.getLogger(__name__)\n\ndef run(x, y, steps):\n"
        '    (x / "name").write_text(y)\n    print("{}".format(steps))\n'
        '    logger.info("%s", next(steps))\n    assert y, "x is odd"\n    if x > 2:\n'
        '        raise ValueError("no")\n    if x > 1:\n        raise StopIteration(x)\n'
        '    return f"{x}"\n'
    )
    assert old in a
    package.write({"a": a})
    assert package.counts("a", a.replace(old, new))


RECORDS = (
    FUTURE + "from typing import Literal\nfrom pydantic import BaseModel, Field, model_validator\n\n"
    "FACTOR = 10\n\nclass Inner(BaseModel):\n    size: int = Field(3, ge=1, description='how large')\n\n"
    "    @model_validator(mode='after')\n    def _odd(self):\n        if self.size == 7:\n"
    "            raise ValueError('seven')\n        return self\n\n"
    "    @property\n    def area(self):\n        return self.size * FACTOR\n\n"
    "    def words(self):\n        return f'{self.size} large'\n\n"
    "class Other(Inner):\n    @property\n    def area(self):\n        return 0\n\n"
    "Any = Inner | Other\n\nclass Job(BaseModel):\n    inner: Any\n    many: dict[str, Inner] = {}\n"
)
STEP = FUTURE + "from quietpet.settings import Job\n\ndef run(job: Job):\n    return job.inner.area\n"


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("self.size * FACTOR", "self.size + FACTOR", True),
        ("FACTOR = 10", "FACTOR = 11", True),
        ("return 0", "return 1", True),
        ("how large", "the size", False),
        ("Field(3, ge=1", "Field(4, ge=2", False),
        ("self.size == 7", "self.size == 8", False),
        ("'seven'", "'eight'", False),
        ("large'\n", "big'\n", False),
    ],
)
def test_settings_count_by_what_a_step_uses_of_their_behaviour(package, old, new, counts):
    assert old in RECORDS
    package.write({"a": STEP, "settings": RECORDS})
    assert package.counts("settings", RECORDS.replace(old, new)) == counts


def test_behaviour_counts_in_the_middle_of_a_name(package):
    a = STEP.replace("job.inner.area", "store.LAST.area.real") + "\nfrom quietpet import store\n"
    package.write({"a": a, "settings": RECORDS, "store": "LAST = None\n"})
    assert package.counts("settings", RECORDS.replace("FACTOR = 10", "FACTOR = 11"))


@pytest.mark.parametrize(
    "name",
    [
        "job.inner.words()",
        'getattr(job.inner, "words")()',
        'operator.attrgetter("inner.words")(job)',
    ],
)
def test_behaviour_counts_by_its_name(package, name):
    package.write({"a": STEP.replace("job.inner.area", name), "settings": RECORDS})
    assert package.counts("settings", RECORDS.replace("large'\n", "big'\n"))
    assert not package.counts("settings", RECORDS.replace("FACTOR = 10", "FACTOR = 11"))


@pytest.mark.parametrize(
    ("old", "new"), [("Field(3", "Field(4"), ("size == 7", "size == 8"), ("ge=1", "ge=2")]
)
def test_settings_that_a_step_makes_itself_count_whole(package, old, new):
    package.write(
        {"a": STEP + "\nfrom quietpet.settings import Inner\nDEFAULT = Inner()\n", "settings": RECORDS}
    )
    assert package.counts("settings", RECORDS.replace(old, new))


def test_asking_for_the_class_of_settings_does_not_make_any(package):
    a = STEP.replace("job.inner.area", "isinstance(job.inner, Other)").replace("Job\n", "Job, Other\n")
    package.write({"a": a, "settings": RECORDS})
    assert not package.counts("settings", RECORDS.replace("Field(3", "Field(4"))


def test_data_files_count_where_they_are_named(package):
    package.write({"a": "def run():\n    return open('values.csv')\n", "b": "def f():\n    return 1\n"})
    package.write({"room/values.csv": "1,2\n", "room/others.csv": "3\n"})
    assert not package.counts("room/others.csv", "4\n")
    assert package.counts("room/values.csv", "1,3\n")


def test_a_second_definition_of_a_name_counts(package):
    package.write(
        {
            "a": CALLS_F,
            "b": "def f():\n    return 1\n",
        }
    )
    assert package.counts("b", "def f():\n    return 1\n\nf = str\n")


TEXT = "raise ValueError('x')\n"


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("def sub(a, b):\n    a -= b\n\ndef run(low, high):\n    sub(low, 1)\n", "sub(low", "sub(high"),
        (f"def run(d):\n    view = d['a']\n    view *= 2\n    {TEXT}", "'a'", "'b'"),
        (f"def run(d):\n    class H:\n        limit = 1\n    use(H)\n    {TEXT}", "= 1", "= 2"),
        (f"def run(d, p):\n    moved = p.replace(d.one)\n    {TEXT}", "d.one", "d.two"),
        (
            f"def run(t):\n    try:\n        n = int(t)\n    except OSError:\n        pass\n    {TEXT}",
            "int(t)",
            "float(t)",
        ),
        (
            "def curry(f):\n    return f\n\n@curry\ndef show(message, x):\n    return x\n\n"
            "def run(d):\n    return show(d['a'])\n",
            "'a'",
            "'b'",
        ),
    ],
    ids=["in place", "local in place", "attribute", "method that acts", "may fail", "decorated"],
)
def test_what_only_looks_unread_counts(package, text, old, new):
    package.write({"a": text})
    assert package.counts("a", text.replace(old, new))
