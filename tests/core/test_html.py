"""HTML → plain text: what a reader would see, and no page that takes long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core.html import plain_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("", ""),
        ("just words", "just words"),
        ("<p>one</p>\n<p>two<br>\nthree</p>", "one\n\ntwo\nthree"),
        ("<p>a<br><br>b</p>", "a\n\nb"),
        ("<p>fish &amp; chips &lt;now&gt; &#128512; caf&eacute;</p>", "fish & chips <now> 😀 café"),
        ('<p>see <a href="https://x.example/a?b=1&amp;c" title="a > b">the manual</a>.</p>', "see the manual."),
        ('<p>ok <img src="/s.png" title=":smile:" class="emoji" alt=":smile:"> then</p>', "ok :smile: then"),
        ('<a class="mention" href="/u/sam">@sam</a> hi', "@sam hi"),
        ("<ul>\n<li>one</li>\n<li>\n<p>two</p>\n<ol><li>deep</li></ol></li>\n</ul>", "- one\n- two\n  - deep"),
        ("<p>a</p><pre><code>if x:\n    go()\n</code></pre><p>b</p>", "a\n\nif x:\n    go()\n\nb"),
        ("<blockquote><p>said</p></blockquote><p>so?</p>", "> said\n\nso?"),
        ("<p>a < b and c > d</p>", "a < b and c > d"),
        ("<p>x<script>alert('<p>no</p>')</script>y<!-- hidden -->z</p>", "xyz"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a\tb\nc"),
        ("unclosed <b>bold <i>both", "unclosed bold both"),
        ("</p></div>stray", "stray"),
        ('<IMG ALT="Photo"><BR>x', "Photo\nx"),
        ("a\u00a0b", "a\u00a0b"),
    ],
)
def test_text_of(markup: str, text: str) -> None:
    assert plain_text(markup) == text


def test_a_quoted_post_is_marked_as_somebody_elses_words() -> None:
    markup = (
        '<aside class="quote no-group" data-username="anna" data-post="1" data-topic="5"><div class="title">'
        '<div class="quote-controls"></div><img alt="face" width="24" src="/a.png" class="avatar"> anna:</div>'
        "<blockquote><p>It broke.</p></blockquote></aside><p>Mine too.</p>"
    )
    assert plain_text(markup) == "> anna:\n>\n> It broke.\n\nMine too."


def test_a_link_preview_is_its_address_and_a_picture_its_description() -> None:
    preview = '<aside class="onebox" data-onebox-src="https://x.example/a"><article><h3>Advert</h3></article></aside>'
    picture = '<a class="lightbox"><img alt="screen"><div class="meta"><span>shot.png 1024x768 90 KB</span></div></a>'
    assert plain_text(preview + picture) == "https://x.example/a\n\nscreen"


@settings(deadline=None)
@given(st.text(st.sampled_from("<>/!-\"'= pabdivlrsctuq&#;\n\x00\ud800é")))
def test_broken_markup_never_raises(markup: str) -> None:
    assert isinstance(plain_text(markup), str)


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a ",
        "<!--",
        '<a href="',
        "<a '\"",
        "</a ",
        "&#",
        "<script>",
        "<svg></svg>",
        "<div>",
        "</p>",
        "<li>",
        "<br>",
        "<blockquote>",
        "<ul>",
        "<aside class=quote>x",
        "<img a",
        " ",
        "<td>",
    ],
)
def test_time_grows_with_the_length_only(piece: str) -> None:
    def seconds(length: int) -> float:
        began = time.process_time()
        plain_text((piece * length)[:length])
        return time.process_time() - began

    # A quadratic reader needs minutes for this.
    assert seconds(400_000) < 8
