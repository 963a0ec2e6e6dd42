"""The dashboard's pages. Started by `wick dashboard`, or by `streamlit run dashboard/app.py`."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

# An icon of our own: Streamlit would fetch one of its Material icons from a server.
st.set_page_config(
    page_title="Candlewick", page_icon=(HERE / "icon.svg").read_text(), layout="wide"
)
st.html(HERE / "page.css")
st.navigation(
    [
        st.Page("pages/live.py", title="Live", icon=":material/monitoring:", default=True),
        st.Page("pages/runs.py", title="Runs", icon=":material/history:"),
    ],
    position="top",
).run()
