"""How kernels are compiled: as parts of other kernels, and for Python.

Numba makes of every kernel that another one calls a function for Python too: a wrapper that takes
all arguments apart, another for C, both in machine code and every kernel below optimised again in
each. Most kernels here are only ever parts of others. As such they are typed and lowered, nothing
more; they are optimised once, inside the kernel that Python calls. So a first backtest compiles in
16 s, not in 43 s.
"""

from typing import Any

from numba.core import sigutils, types
from numba.core.caching import NullCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import _FunctionCompiler  # type: ignore[attr-defined]
from numba.core.registry import CPUDispatcher

from strategy.uncollected import uncollected


class KernelDispatcher(CPUDispatcher):
    """A kernel in all its compiled forms.

    Parameters
    ----------
    function : function
    options : dict
        Numba's.
    """

    def __init__(self, function: Any, locals: Any = None, targetoptions: Any = None) -> None:
        super().__init__(function, locals, targetoptions)
        how = (function, self.targetdescr, self.targetoptions, self.locals, Compiler)
        self._compiler, self._as_part = _Whole(*how), _AsPart(*how)
        self._cache: Any = NullCache()

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Answer another kernel that calls this one: compile it as a part."""
        # While a loop is typed, a counter that begins at 0 is the number 0, and every kernel it
        # goes to would be compiled for that number first.
        args = tuple(types.unliteral(one) for one in args)
        with global_compiler_lock:
            usual = self._compiler, self._cache
            self._compiler, self._cache = self._as_part, NullCache()
            try:
                return super().get_call_template(args, kws)
            finally:
                self._compiler, self._cache = usual

    def compile(self, sig: Any) -> Any:
        """Compile one form, or load it, and return what calls it."""
        args, _ = sigutils.normalize_signature(sig)
        with global_compiler_lock:  # another thread may be at it, as a part
            if self._compiler is self._as_part:
                return super().compile(sig)
            plain = tuple(_writable(one) for one in args)
            if plain != args:
                # Columns that a sweep shares are read-only, in tuples too. No kernel writes to what
                # it is given to read, so they need no form of their own.
                entry = self.compile(plain)
                self._insert([one._code for one in args], entry, False)  # type: ignore[attr-defined]
                return entry
            found: Any = self.overloads.get(tuple(args))
            if found is not None and isinstance(found.library, _Part):
                del self.overloads[tuple(args)]
            with uncollected():  # a tenth of the time, and there is little to collect
                return super().compile(sig)

    def add_overload(self, cres: Any) -> None:
        """Keep one form, where Python finds it only if it is compiled for Python."""
        if isinstance(cres.library, _Part):
            # It has no code of its own; callers find it by what stands in its place.
            cres = cres._replace(entry_point=object())
            self.targetctx.insert_user_function(cres.entry_point, cres.fndesc, [cres.library])
            self.overloads[tuple(cres.signature.args)] = cres
            return
        for env in cres._find_referenced_environments():  # those of its parts too
            cres.library.codegen.set_env(env.env_name, env)
        super().add_overload(cres)


def _writable(kind: Any) -> Any:
    if isinstance(kind, types.BaseNamedTuple):
        its: Any = kind  # every kind of it has these two
        return types.BaseTuple.from_types(tuple(map(_writable, its)), its.instance_class)
    return kind if not isinstance(kind, types.Array) or kind.mutable else kind.copy(readonly=False)


class _Flags(Flags):
    """Numba's, compared by what was set: it asks for all of them at every operator it types, a
    tenth of the time."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(frozenset(self._values))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Flags) and self._values == other._values


class _Whole(_FunctionCompiler):  # type: ignore[misc]
    def _customize_flags(self, flags: Any) -> Any:
        return _Flags(flags)


class _AsPart(_FunctionCompiler):  # type: ignore[misc]
    def _compile_core(self, args: Any, return_type: Any) -> Any:
        flags: Any = _Flags()
        self.targetdescr.options.parse_as_flags(flags, self.targetoptions)
        flags.no_compile = flags.no_cpython_wrapper = True
        typing, target = self.targetdescr.typing_context, self.targetdescr.target_context
        library = _Part(target.codegen(), self.py_func.__qualname__)
        return compile_extra(
            typing,
            target,
            self.py_func,
            args,
            return_type,
            flags,
            self.locals,
            library,
            self.pipeline_class,
        )


class _Part(JITCodeLibrary):
    """Code that is only linked into other code."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True
