"""What a page holds and does not show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridret.data.poison.markup import commented, far_off, undisplayed

HIDING = [
    '<p style="display:none">{}</p>',
    "<span style='color:red; VISIBILITY : hidden'>{}</span>",
    '<div class=x style="font-size:0px">{}</div>',
    '<div style="opacity: 0.0">{}</div>',
    '<div style="position:absolute;left:-9999px">{}</div>',
    '<h1 style="text-indent: -5000em">{}</h1>',
    "<div hidden>{}</div>",
    '<section id="a" hidden="">{}</section>',
    '<meta name="keywords" content="{}">',
    "<meta content='{}' name=keywords />",
]
SHOWN = [
    "<p>{}</p>",
    '<p style="display:block; opacity:0.5; font-size:0.8em; left:-5px">{}</p>',
    '<p class="hidden" title="the hidden one">{}</p>',
    '<input type="hidden" value="x"> {}',
    '<br style="display:none"/> {}',
    '<meta name="author" content="{}">',
    "if a < b and c > d: {}",
    "vector<int> hidden; map<string, vector<int>> x; {}",
]


@pytest.mark.parametrize("markup", HIDING)
def test_hidden_elements_give_their_words(markup: str) -> None:
    assert undisplayed(f"Before. {markup.format('cheap red pumps')} After.").split() == ["cheap", "red", "pumps"]


@pytest.mark.parametrize("markup", SHOWN)
def test_what_is_shown_is_not_hidden(markup: str) -> None:
    assert undisplayed(markup.format("good pumps")) == ""


def test_elements_of_the_same_name_inside_belong_to_the_hidden_one() -> None:
    text = '<div style="display:none">a <div>b</div> c</div> shown <div>d</div>'
    assert undisplayed(text).split() == ["a", "b", "c"]


def test_tags_inside_are_no_words() -> None:
    assert undisplayed("<p hidden>a <b class='c'>b</b><br></p> c").split() == ["a", "b"]


def test_an_element_that_does_not_end_hides_the_rest() -> None:
    assert undisplayed('shown <div style="display:none">a <i>b</i>').split() == ["a", "b"]


def test_comments_of_html_and_markdown() -> None:
    assert commented("a <!-- b c --> d <!--e-->").split() == ["b", "c", "e"]
    assert commented("a <!-- b --> c <!-- d e").split() == ["b", "d", "e"]
    assert commented("a\n[//]: # (b c)\nd\n[comment]: <> (e)\n").split() == ["(b", "c)", "(e)"]
    assert commented("see [1]: https://example.org and a --> b <- c") == ""


def test_text_behind_a_gap_is_far_off() -> None:
    assert far_off("a" + "\n" * 20 + "b c") == "b c"
    assert far_off("a" + " \n\t" * 25 + "b") == "b"
    assert far_off("a" + " " * 200 + "b") == "b"
    assert far_off("a" + "\n" * 19 + "b") == ""
    assert far_off("a" + " " * 199 + "b" + " " * 30 + "c\n\n\nd") == ""
    assert far_off("a" + "\n" * 40) == ""


@given(st.text("<>!-/\"'= \nabc", max_size=200))
def test_broken_markup_is_no_error(text: str) -> None:
    for hidden in (commented(text), undisplayed(text), far_off(text)):
        assert isinstance(hidden, str)


@pytest.mark.parametrize(
    "part", ["<!--", "<div style='display:none'>", "<", "<a ", " \n", "style='", "<meta name=keywords "]
)
def test_hostile_markup_comes_to_an_end(part: str) -> None:
    text = part * 100_000
    for hidden in (commented(text), undisplayed(text), far_off(text)):
        assert len(hidden) <= len(text)
