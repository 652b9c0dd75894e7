import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_law import Page, broken

from jaxd2l.report.page.html import Markup, document, element, figure, table


@pytest.mark.slow
@given(st.text())
def test_text_in_any_place_is_shown_and_never_markup(text):
    page = document(
        text, element("p", text), [("a", text, [table(text, (text, text), [(text, element("td", text, title=text))])])]
    )
    tags = [tag for tag, _ in Page(page).tags]
    plain = [
        tag
        for tag, _ in Page(document("x", element("p", "x"), [("a", "x", [table("x", ("x", "x"), [("x", "x")])])])).tags
    ]
    assert tags == plain
    assert not [problem for problem in broken(page) if "is shown" not in problem]


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;", "a&b", "é 靴 👢"]
)
def test_a_class_called_like_markup_shows_itself(name):
    page = Page(document("t", element("p", name), []))
    assert name in page.text
    assert "script" not in {tag for tag, _ in page.tags}


def test_attributes_are_escaped_and_absent_ones_left_out():
    assert (
        element("p", "x", title='"<', class_="a", hidden=None, data_n=3)
        == '<p title="&quot;&lt;" class="a" data-n="3">x</p>'
    )


def test_markup_is_not_escaped_twice():
    assert figure(Markup("<b>x</b>"), "1 < 2") == "<figure><b>x</b><figcaption>1 &lt; 2</figcaption></figure>"


def test_control_characters_and_lone_surrogates_are_replaced():
    assert element("p", "a\x00b\udcffc") == "<p>a\ufffdb\ufffdc</p>"


def test_a_section_without_content_is_left_out_with_its_link():
    page = document("t", "", [("a", "A", ["x"]), ("b", "B", []), ("c", "C", ["y"])])
    assert 'href="#b"' not in page
    assert 'href="#c"' in page


def test_a_column_of_words_stands_to_the_left_with_its_head():
    page = Page(
        document("t", "", [("a", "A", [table("c", ("x", "y", "z"), [("1", element("td", "w", class_="words"), "3")])])])
    )
    assert [a.get("class") for a in page.named("th")] == [None, "words", None, None]
