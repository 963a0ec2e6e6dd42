"""Compiled kernels on disk: Numba's own cache files, where Numba itself would not go on.

Numba asks for a folder that can be written to, even where everything is compiled already; fails if
one cannot be written any more, or a file is broken; names files so that two processes which compile
a kernel for different arguments at once may mix them up; and takes a copied project for another.
"""

import hashlib
import logging
from pathlib import Path
from typing import Any

from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    UserProvidedCacheLocator,
)

log = logging.getLogger(__name__)
_ROOT = Path(__file__).parents[1]
_said: set[str] = set()


class KernelCache(FunctionCache):
    """The compiled forms of one kernel in a folder."""

    def __init__(self, function: Any, folder: Path) -> None:
        self._name, self._py_func = repr(function), function
        self._impl = _Kernel(function, folder)
        place = self._impl.locator
        self._cache_path = place.get_cache_path()
        stamp = place.get_source_stamp()
        self._files = _Files(self._cache_path, self._impl.filename_base, stamp)
        self._cache_file = self._files
        self.enable()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load one form, or None where there is none; a broken file counts as none."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # noqa: BLE001  broken bytes are answered with anything
            log.warning("compile_cache=broken kernel=%s reason=%r", self._name, error)
            self._files.broken = True
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save one form; where that is not possible it is said once, and the run goes on."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            if self._cache_path not in _said:
                _said.add(self._cache_path)
                log.warning("compile_cache=not_written reason=%s", error)


class _Kernel(CompileResultCacheImpl):
    def __init__(self, function: Any, folder: Path) -> None:
        self._lineno = function.__code__.co_firstlineno
        file = Path(function.__code__.co_filename)
        self._locator = _Place(file, self._lineno, folder)
        self._filename_base = self.get_filename_base(f"{file.stem}.{function.__qualname__}", "")


class _Place(UserProvidedCacheLocator):
    def __init__(self, file: Path, line: int, folder: Path) -> None:
        self._py_file, self._lineno = str(file), line
        # By its place in the project: a folder that was filled before stays warm wherever the
        # project and its cache are copied to.
        if file.is_relative_to(folder):
            name = "rules"
        elif file.is_relative_to(_ROOT):
            name = ".".join(file.parent.relative_to(_ROOT).parts)
        else:
            name = self.get_suitable_cache_subpath(self._py_file)
        self._cache_path = str(folder / "kernels" / name)


class _Files(IndexDataCacheFile):
    broken = False

    def save(self, key: Any, data: Any) -> None:
        # Code first, then the index that names it, each whole or not at all; and a name of its own
        # for each form, so that whoever is last to write the index names no other's code.
        overloads = {} if self.broken else self._load_index()
        form = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        overloads[key] = f"{Path(self._index_name).stem}.{form}.nbc"
        self._save_data(overloads[key], data)
        self._save_index(overloads)
        self.broken = False
