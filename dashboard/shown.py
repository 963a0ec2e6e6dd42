"""What every page says in the same way: errors, and that there is nothing yet."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard.texts import plain
from strategy.errors import WickError


@contextmanager
def sentences() -> Iterator[None]:
    """Turn errors of the store into a sentence and a hint."""
    try:
        yield
    except WickError as error:
        st.error(f"{plain(error.message)}  \nhint: {plain(error.hint)}", icon=":material/error:")
    except OSError as error:
        what = f"{error.filename or 'the system'}: {error.strerror or error}"
        hint = "folders are set by WICK_SESSIONS and WICK_RUNS, or in wick.toml"
        st.error(f"{plain(what)}  \nhint: {plain(hint)}", icon=":material/error:")


def nothing_yet(sentence: str, command: str) -> None:
    """Say that there is nothing to show, and the command that changes it."""
    st.info(sentence, icon=":material/info:")
    st.code(command, language="bash")
