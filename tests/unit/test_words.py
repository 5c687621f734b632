# SPDX-License-Identifier: Apache-2.0
"""The glossary on pages: first uses lead to meanings; nothing else of a page changes."""

from __future__ import annotations

import re

from reports.words import glossary, with_words


def test_first_use_is_linked_and_explained_once() -> None:
    page = with_words(
        "<h2>BP first</h2><p>BP and BP, FFT, <code>WU</code>; a lower bound.</p><svg><text>UP</text></svg>"
    )
    assert page.count('href="#word-bp"') == 1
    assert '<p><a class="word" href="#word-bp">BP</a> and BP, FFT, <code>WU</code>' in page
    assert 'href="#word-lower-bound">lower bound</a>' in page
    assert set(re.findall(r'<dt id="([^"]+)"', page)) == set(re.findall(r'href="#([^"]+)"', page))


def test_a_page_without_terms_is_unchanged() -> None:
    body = '<p title="BP">Nothing to explain, ABP-2.</p>'
    assert with_words(body) == body


def test_what_is_left_without_links_is_the_page() -> None:
    body = "<table><tr><td>2:8, N:M of SR-STE &amp; BDWP</td></tr></table><p>SORE: error / bound</p>"
    page = re.sub(r'<a class="word"[^>]*>(.*?)</a>', r"\1", with_words(body).partition('<section class="words">')[0])
    assert page == body


def test_terms_that_the_issue_of_words_began_with_are_there() -> None:
    for term in ("FF", "BP", "WU", "UP", "STCE", "SORE", "WUVE", "N:M", "WS", "OS", "error / bound", "Pre-generation",
                 "Interleave", "LSB recompute", "Cascade pruning"):  # fmt: skip
        assert len(glossary()[term]) > 20
