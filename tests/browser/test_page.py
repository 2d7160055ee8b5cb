"""The digit page in a real browser: what is drawn on it is read, explained, and said.

Strokes go through the page's own pointer handlers: a few by the browser's mouse and finger, the
hundred of the test digits by `drawing`.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from drawing import DRAW, SEVEN, answers_to_test_digits, blank_canvases, draw, latest
from own_nodes import OwnNetwork
from PIL import Image
from strokes import strokes_of

import miniflow as mf
from miniflow.compiler.threads import one_thread_if_small
from miniflow.digit_images import fit_drawing, read_digit, shrink_drawing
from miniflow.files.arrays import read_arrays, write_arrays
from miniflow.layers.networks import Network, build
from miniflow.schedules import CosineDecay

LITTLE_SEVEN = [[(0.06, 0.06), (0.2, 0.06), (0.12, 0.26)]]


class Trained(NamedTuple):
    """The default network after some epochs, its file and its page."""

    network: Network
    file: Path
    page: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(0)
    network = build((784, 128, 10), rng)
    digits = mf.datasets.mnist()
    steps = 4 * -(-len(digits.train) // 128)
    optimizer = mf.SGD(CosineDecay(0.1, steps, warmup=steps // 10), momentum=0.9)
    with one_thread_if_small(2 * 128 * 784 * 128):
        mf.fit(network.loss, digits.train, optimizer, epochs=4, rng=rng, progress="none")
    example = {network.X: digits.test.images[:1]}
    mf.save(network.logits, folder / "digits.safetensors", example)
    mf.page(folder / "digits.safetensors", folder / "digits.html")
    return Trained(network, folder / "digits.safetensors", folder / "digits.html")


# --- The answer


@pytest.mark.parametrize(
    "count", [20, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.rare])]
)
def test_drawn_digits_are_recognised(browser: Any, trained: Trained, count: int) -> None:
    labels = mf.datasets.mnist().test.labels[:count]
    browser.open(trained.page)
    assert np.mean(answers_to_test_digits(browser, count) == labels) >= 0.95


def test_a_digit_drawn_with_the_mouse_is_read_while_it_is_drawn(
    browser: Any, trained: Trained
) -> None:
    from selenium.webdriver import ActionChains

    browser.open(trained.page)
    sheet = browser.find(".sheet")
    side = sheet.size["width"]
    mouse = ActionChains(browser.driver, duration=20)
    places = [((x - 0.5) * side, (y - 0.5) * side) for x, y in SEVEN[0]]
    mouse.move_to_element_with_offset(sheet, *places[0]).click_and_hold()
    for x, y in places[1:]:
        mouse.move_to_element_with_offset(sheet, x, y)
    mouse.pause(0.1).perform()
    assert browser.text(".verdict b") == "7"  # the button is still down
    ActionChains(browser.driver).release().perform()
    assert browser.text(".verdict b") == "7"
    assert browser.find(".live").get_attribute("textContent").startswith("7, ")
    assert (
        len(browser.script("return document.querySelector('.mf-digits').digits.sheet.strokes")) == 1
    )


@pytest.mark.slow
def test_a_finger_draws_and_does_not_scroll_the_page(browser: Any, trained: Trained) -> None:
    browser.open(trained.page, browser.PHONE)
    box = browser.script(
        "const {left, top, width} = document.querySelector('.sheet').getBoundingClientRect();"
        "return [left, top, width]"
    )
    left, top, width = box

    def drag(points: list[tuple[float, float]]) -> None:
        steps = np.linspace(0, len(points) - 1, 12)
        xs, ys = (np.interp(steps, range(len(points)), axis) for axis in zip(*points, strict=True))
        browser.touch(*((left + x * width, top + y * width) for x, y in zip(xs, ys, strict=True)))

    drag([(0.5, 0.85), (0.5, 0.15)])
    assert browser.script("return scrollY") == 0
    assert browser.text(".verdict b") == "1"
    drag([(0.5, 2.0), (0.5, 1.2)])  # below the sheet, the same movement scrolls
    assert browser.script("return scrollY") > 0


def test_the_probabilities_are_what_predict_says(
    browser: Any, trained: Trained, tmp_path: Path
) -> None:
    browser.open(trained.page)
    strokes = strokes_of(mf.datasets.mnist().test.images[3].reshape(28, 28))
    seen = draw(browser, strokes)
    ink = seen["ink"].reshape(280, 280)
    Image.fromarray(np.uint8(np.rint(255 - 255 * ink))).save(tmp_path / "drawn.png")
    picture = read_digit(tmp_path / "drawn.png")
    # A picture's paper has to be estimated, which costs a little: a grey level is 4e-3.
    np.testing.assert_allclose(seen["pixels"], picture.pixels.ravel(), atol=2e-4)
    np.testing.assert_allclose(seen["pixels"], fit_drawing(ink).ravel(), atol=1e-6)
    logits = mf.load(trained.file)(picture.pixels.reshape(1, 784))
    np.testing.assert_allclose(
        seen["probabilities"], (np.exp(logits) / np.exp(logits).sum()).ravel(), atol=1e-3
    )
    shown = [bar.get_attribute("aria-label") for bar in browser.find_all(".bars button")]
    assert shown[int(logits.argmax())].startswith(f"{logits.argmax()}, ")
    assert len(shown) == 10


@pytest.mark.slow
def test_the_switch_shows_what_fitting_is_good_for(browser: Any, trained: Trained) -> None:
    browser.open(trained.page)
    fitted = draw(browser, LITTLE_SEVEN)
    np.testing.assert_allclose(
        fitted["pixels"], fit_drawing(fitted["ink"].reshape(280, 280)).ravel(), atol=1e-6
    )
    assert fitted["digit"] == 7
    browser.click(".switch")
    assert browser.find(".switch").get_attribute("aria-checked") == "false"
    raw = latest(browser)
    np.testing.assert_allclose(
        raw["pixels"], shrink_drawing(fitted["ink"].reshape(280, 280)).ravel(), atol=1e-6
    )
    assert not raw["pixels"].reshape(28, 28)[10:].any()
    browser.click(".switch")
    np.testing.assert_array_equal(latest(browser)["pixels"], fitted["pixels"])


# --- The reason


def log_probability_gradient(loss: mf.Node, feed: dict[mf.Node, Any], X: mf.Node) -> Any:
    _, (gradient,) = mf.value_and_grad(loss, feed, wrt=[X])
    return -gradient.ravel()


@pytest.mark.slow
def test_the_gradient_is_the_interpreters(browser: Any, trained: Trained) -> None:
    network = trained.network
    browser.open(trained.page)
    seen = draw(browser, SEVEN)
    x = seen["pixels"].reshape(1, 784).astype(np.float32)
    feed = {network.X: x, network.y: np.array([seen["digit"]])}
    expected = log_probability_gradient(network.loss, feed, network.X)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(seen["gradient"], expected, atol=2e-3 * np.abs(expected).max())
    hidden = mf.value(network.logits.inbound_nodes[0], feed)
    np.testing.assert_allclose(seen["layers"][0], hidden.ravel(), atol=1e-4)
    assert browser.text(".why h2") == "Why 7"


@pytest.mark.slow
def test_another_digit_can_be_chosen_to_be_explained(browser: Any, trained: Trained) -> None:
    network = trained.network
    browser.open(trained.page)
    answer = draw(browser, SEVEN)["digit"]
    other = 2 if answer != 2 else 3
    browser.find_all(".bars button")[other].click()
    seen = latest(browser)
    feed = {
        network.X: seen["pixels"].reshape(1, 784).astype(np.float32),
        network.y: np.array([other]),
    }
    expected = log_probability_gradient(network.loss, feed, network.X)
    np.testing.assert_allclose(seen["gradient"], expected, atol=2e-3 * np.abs(expected).max())
    assert browser.text(".why h2") == f"Why not {other}"


@pytest.mark.slow
def test_a_network_of_own_nodes_is_read_and_its_names_are_only_names(
    browser: Any, tmp_path: Path
) -> None:
    own = OwnNetwork()
    mf.save(own.loss, tmp_path / "own.safetensors", own.example)
    mf.page(tmp_path / "own.safetensors", tmp_path / "own.html")
    browser.open(tmp_path / "own.html")
    seen = draw(browser, SEVEN)
    feed = {own.X: seen["pixels"].reshape(1, 784), own.y: np.array([seen["digit"]])}
    logits = mf.value(own.logits, feed)
    np.testing.assert_allclose(
        seen["probabilities"], (np.exp(logits) / np.exp(logits).sum()).ravel(), atol=1e-9
    )
    expected = log_probability_gradient(own.loss, feed, own.X)
    np.testing.assert_allclose(seen["gradient"], expected, atol=1e-9)
    headings = [heading.text for heading in browser.find_all(".layer h2")]
    assert "Sigmoid '</script><script>alert('first')</script>'" in headings[0]
    assert "<b>second</b>" in headings[1]
    assert len(browser.find_all(".units button")) == 24


@pytest.mark.slow
def test_a_file_without_a_way_back_is_explained_by_small_differences(
    browser: Any, tmp_path: Path
) -> None:
    own = OwnNetwork()
    mf.save(own.loss, tmp_path / "own.safetensors", own.example)
    arrays, about = read_arrays(tmp_path / "own.safetensors", "model")
    old = {key: about[key] for key in ("format", "program")}
    write_arrays(tmp_path / "old.safetensors", "model", arrays, old)
    mf.page(tmp_path / "old.safetensors", tmp_path / "old.html")
    browser.open(tmp_path / "old.html")
    draw(browser, SEVEN)
    seen = browser.driver.execute_async_script(
        "const done = arguments[0], { latest } = document.querySelector('.mf-digits').digits;"
        "const look = () => latest.gradient ? done([Array.from(latest.pixels), latest.digit,"
        " Array.from(latest.gradient)]) : setTimeout(look, 5); look();"
    )
    pixels, digit, gradient = (np.array(part) for part in seen)
    feed = {own.X: pixels.reshape(1, 784), own.y: digit.reshape(1)}
    expected = log_probability_gradient(own.loss, feed, own.X)
    np.testing.assert_allclose(gradient, expected, atol=1e-3 * np.abs(expected).max())
    assert "small differences" in browser.text(".about-why")


# --- The page


@pytest.mark.slow
def test_keys_undo_and_clear_and_move_the_choice(browser: Any, trained: Trained) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(trained.page)
    strokes = "return document.querySelector('.mf-digits').digits.sheet.strokes.length"
    assert not browser.find(".undo").is_enabled()
    draw(browser, [*SEVEN, [(0.3, 0.5), (0.6, 0.5)]])
    browser.script("document.querySelector('.sheet').focus()")
    browser.keys("z")
    assert browser.script(strokes) == 1
    browser.keys(Keys.TAB, Keys.ENTER)  # the button Undo
    assert browser.script(strokes) == 0
    assert focused(browser) == "sheet"  # there is nothing to undo any more
    assert browser.find(".live").get_attribute("textContent") == "The sheet is empty."
    answer = draw(browser, SEVEN)["digit"]
    browser.script("document.querySelector('.bars [tabindex=\"0\"]').focus()")
    browser.keys(Keys.ARROW_DOWN)
    assert latest(browser)["explained"] == (answer + 1) % 10
    browser.keys(Keys.DELETE)
    assert browser.script(strokes) == 0
    assert latest(browser)["probabilities"] is None
    assert focused(browser) == "sheet"
    browser.script("document.querySelector('.switch').focus()")
    browser.keys(Keys.SPACE)
    assert browser.find(".switch").get_attribute("aria-checked") == "false"


def focused(browser: Any) -> str:
    """The class of what has the focus."""
    return str(browser.script("return document.activeElement.className"))


@pytest.mark.slow
def test_a_second_finger_and_a_second_button_draw_nothing(browser: Any, trained: Trained) -> None:
    browser.open(trained.page)
    count = browser.script(
        "const canvas = document.querySelector('.sheet');"
        "const send = (type, id, button, x) => canvas.dispatchEvent(new PointerEvent(type,"
        " {bubbles: true, pointerId: id, button, clientX: x, clientY: 200}));"
        "send('pointerdown', 1, 2, 100); send('pointerdown', 2, 0, 120);"
        "send('pointerdown', 3, 0, 200); send('pointermove', 3, 0, 220);"
        "send('pointerup', 3, 0, 220); send('pointerup', 2, 0, 120);"
        "return document.querySelector('.mf-digits').digits.sheet.strokes"
    )
    assert [len(stroke) for stroke in count] == [1]


@pytest.mark.breadth("size", "dark")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", ["DESKTOP", "PHONE"])
def test_the_page_fits_and_everything_on_it_is_drawn(
    size: str, dark: bool, browser: Any, trained: Trained
) -> None:
    browser.open(trained.page, getattr(browser, size), dark)
    draw(browser, SEVEN)
    assert browser.script("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert blank_canvases(browser) == 0
    names = browser.script(
        "return Array.from(document.querySelectorAll('button, canvas[role]')).filter((e) =>"
        " !(e.getAttribute('aria-label') || e.textContent.trim())).length"
    )
    assert names == 0


@pytest.mark.slow
def test_several_pages_stand_in_one_document(
    browser: Any, trained: Trained, tmp_path: Path
) -> None:
    from miniflow.digit_page import digit_fragment

    fragment = digit_fragment(mf.load(trained.file))
    page = tmp_path / "two.html"
    page.write_text(f'<!doctype html><meta charset="utf-8">{fragment}{fragment}', encoding="utf-8")
    browser.open(page)
    browser.script(DRAW, [SEVEN])
    first, second = browser.find_all(".verdict b")
    assert (first.text, second.text) == ("7", "–")


@pytest.mark.slow
def test_the_page_stands_in_a_report(browser: Any, trained: Trained, tmp_path: Path) -> None:
    from miniflow.digit_page import digit_fragment
    from miniflow.reports import Section, write_report

    digits = Section("Draw a digit", digit_fragment(mf.load(trained.file)))
    notes = Section("<notes>", "<p>Nothing.</p>", wide=False)
    write_report(tmp_path / "report.html", "<run>", {"<fact>": "1 < 2"}, [notes, digits])
    for size in (browser.DESKTOP, browser.PHONE):
        browser.open(tmp_path / "report.html", size)
        assert draw(browser, SEVEN)["digit"] == 7
        assert browser.script("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert browser.text("h1") == "<run>"
    assert browser.text("dl") == "<fact>\n1 < 2"
    assert [link.text for link in browser.find_all("nav a")] == ["<notes>", "Draw a digit"]


@pytest.mark.breadth("names", "hint")
@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["circle", "triangle", "square"], "circle, triangle or square"),
        (list("abcdefghij"), "one of 10 classes"),
        (list("0123456789"), "a digit, 0 to 9"),
    ],
)
def test_classes_are_called_by_their_names(
    browser: Any, tmp_path: Path, names: list[str], hint: str
) -> None:
    X, b = mf.Input("X"), mf.Parameter(np.arange(len(names), dtype=np.float32) * 9, "b")
    W = mf.Parameter(np.zeros((784, len(names)), np.float32), "W")
    notes = {"class_names": names}
    example = {X: np.zeros((1, 784), np.float32)}
    mf.save(mf.Linear(X, W, b), tmp_path / "m.safetensors", example, notes=notes)
    mf.page(tmp_path / "m.safetensors", tmp_path / "m.html")
    browser.open(tmp_path / "m.html")
    assert browser.script('return document.querySelector(".hint").textContent') == hint
    draw(browser, SEVEN)
    told = browser.script("""
      const text = (selector) => [...document.querySelectorAll(selector)].map((e) => e.textContent);
      return [text(".verdict b"), text(".bars b"), text(".why h2"), text(".units em")];
    """)
    assert told == [[names[-1]], names, [f"Why {names[-1]}"], names]
