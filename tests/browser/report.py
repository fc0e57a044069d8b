"""Opens a report's page from disk in a headless browser and uses it as a reader would.

    report.py PAGE.html [--screenshots DIR]

Exit codes: 0 all is well, 1 something is not (it says what), 77 there is no browser. Needs Python's own library alone.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import chromium

WIDTHS = (1280, 768, 390)
# Two frames later, since the page hears of the scrolling in the next one, and hides its thumbnail then.
CENTRE = """(async () => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: "center"}});
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const r = e.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; }})()"""
COLUMN = """[...document.querySelectorAll("table.sortable tbody tr")].map((row) => row.cells[{column}].dataset.v)"""


def check(is_true: object, words: str) -> None:
    if not is_true:
        raise AssertionError(words)


def click(page: chromium.Page, selector: str) -> None:
    page.mouse(*page.run(CENTRE.format(selector=selector)), click=True)


def focus(page: chromium.Page, selector: str) -> None:
    page.run(f"document.querySelector({selector!r}).focus()")


def fits_every_width(page: chromium.Page, file: Path) -> None:
    """Nothing but figures and tables in their own frames is wider than the screen."""
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page.size(width)
            page.scheme(scheme)
            page.open(file)
            check(page.complaints() == [], f"{width} px, {scheme}: {page.complaints()}")
            found = page.run("document.documentElement.scrollWidth")
            check(found <= width, f"the page is {found} px wide on a screen of {width}")
            over = page.run("[...document.querySelectorAll('.sortable td')].filter((c) => c.scrollWidth > c.clientWidth + 1).length")
            check(over == 0, f"{over} cells of the table are too narrow for what is in them at {width} px")
            ground = page.run("getComputedStyle(document.documentElement).backgroundColor")
            check((ground == "rgb(255, 255, 255)") == (scheme == "light"), f"the ground is {ground} in {scheme}")


def sorts_by_click_and_key(page: chromium.Page) -> None:
    head = 'table.sortable thead th:nth-child({})'
    column = page.run("""[...document.querySelectorAll("table.sortable thead th")].findIndex((h) => h.textContent.startsWith("accuracy"))""")
    button = head.format(column + 1) + " button"
    click(page, button)
    values = [float(value) for value in page.run(COLUMN.format(column=column))]
    check(values == sorted(values, reverse=True) and len(set(values)) > 1, f"a click sorts from the highest: {values}")
    check(page.run(f"document.querySelector({head.format(column + 1)!r}).ariaSort") == "descending", "aria-sort says so")
    focus(page, button)
    page.key("Enter", "\r")
    values = [float(value) for value in page.run(COLUMN.format(column=column))]
    check(values == sorted(values), f"Enter turns it round: {values}")
    check(page.run("document.querySelectorAll('[aria-sort]').length") == 1, "one column alone is sorted")
    names = head.format(1) + " button"
    focus(page, names)
    page.key(" ", " ")
    names = page.run(COLUMN.format(column=0))
    check(len(names) > 1 and page.run("document.querySelector('[aria-sort]').cellIndex") == 0, "names sort, too")


PLACES = "[...document.querySelectorAll('#map use')].slice(0, 50).map((p) => p.getAttribute('x') + ' ' + p.getAttribute('y'))"
OPEN = "[...document.querySelectorAll('.panel')].filter((p) => !p.hidden).map((p) => p.dataset.layer)"


def switches_layers(page: chromium.Page) -> None:
    check(page.run(OPEN) == ["0"], "the best layer is open at first")
    before = page.run(PLACES)
    focus(page, 'input[name="layer"]')
    page.key("ArrowRight")
    check(page.run(OPEN) == ["1"], f"an arrow key opens the next layer: {page.run(OPEN)}")
    check(page.run(PLACES) != before, "and the map moves with it")
    click(page, '#layer-switch label:first-of-type')
    check(page.run(OPEN) == ["0"] and page.run(PLACES) == before, "a click goes back")
    click(page, '#map-controls label:nth-of-type(2)')
    check(page.run(PLACES) != before, "principal components lie elsewhere")
    click(page, '#map-controls label:nth-of-type(1)')
    colour = "getComputedStyle(document.querySelector('#map use')).fill"
    classes = page.run(colour)
    page.run("document.querySelector('input[name=colour][value=error]').click()")
    check(page.run(colour) != classes, "colours tell right from wrong")
    crosses = page.run("document.querySelectorAll('#map use[href=\"#m6\"]').length")
    wrong = page.run("document.querySelectorAll('#map use.is-wrong').length")
    check(crosses == wrong > 0, f"{wrong} wrong pictures are crosses, not by colour alone: {crosses}")
    page.run("document.querySelector('input[name=colour][value=class]').click()")


def shows_the_evidence(page: chromium.Page) -> None:
    """A layer of colours over the pictures of a gallery, on and off by key and pointer; where there is none it says why."""
    state = "[...document.querySelectorAll('.panel:not([hidden]) .evidence')].map((e) => getComputedStyle(e).display)"
    layers = page.run("[...document.querySelectorAll('.panel')].map((p) => p.querySelector('.show-evidence') !== null)")
    check(any(layers), f"some layer has evidence: {layers}")
    silent = "[...document.querySelectorAll('.panel:not(:has(.show-evidence))')].filter((p) => !p.innerHTML.includes('cannot be shown here')).length"
    check(page.run(silent) == 0, "a layer without evidence says why")
    page.run(f"document.querySelectorAll('input[name=layer]')[{layers.index(True)}].click()")
    check(set(page.run(state)) == {"none"}, "pictures are as they are at first")
    focus(page, ".panel:not([hidden]) .show-evidence")
    page.key(" ", " ")
    check(set(page.run(state)) == {"block"}, "the space bar shows the evidence")
    drawn = "[...document.querySelectorAll('.panel:not([hidden]) .evidence')].every((e) => getComputedStyle(e).backgroundImage.startsWith('url(\"data:image/png') && e.clientWidth > 50)"
    check(page.run(drawn), "and there are pictures of it")
    check(page.run("new Set([...document.querySelectorAll('.show-evidence')].map((b) => b.checked)).size") == 1, "in all layers")
    click(page, ".panel:not([hidden]) .looking label")
    check(set(page.run(state)) == {"none"}, "a click takes it off")


def shows_thumbnails(page: chromium.Page) -> None:
    tip = "(() => { const t = document.getElementById('tip'); return t.hidden ? null : t.innerText; })()"
    check(page.run(tip) is None, "no picture is shown at first")
    page.mouse(*page.run(CENTRE.format(selector="#map use:nth-of-type(7)")))
    words = page.run(tip)
    check(words and "sure" in words, f"the pointer shows a picture with its prediction: {words}")
    cell = "(() => { const s = document.querySelector('#tip .sprite'); return [getComputedStyle(s).display, s.style.backgroundPosition]; })()"
    display, place = page.run(cell)
    check(display == "block" and place, f"its thumbnail is there: {display} {place}")
    box = page.run("(() => { const r = document.getElementById('tip').getBoundingClientRect(); return [r.left, r.top, innerWidth - r.right, innerHeight - r.bottom]; })()")
    check(min(box) >= 0, f"and within the window: {box}")
    page.mouse(2, 2)
    check(page.run(tip) is None, "it goes when the pointer leaves")


def is_read_by_keyboard(page: chromium.Page) -> None:
    order = []
    for _ in range(40):
        page.key("Tab")
        name, shows = page.run("""(() => { const e = document.activeElement;
            const shown = e.type === "radio" ? e.nextElementSibling : e;
            return [e.className || e.name || e.tagName, getComputedStyle(shown).outlineStyle !== "none"]; })()""")
        if name == "BODY":
            break
        check(shows, f"focus on {name} can be seen")
        order.append(name)
    check(order[0] == "skip", f"the first stop skips to the findings: {order[0]}")
    check("layer" in order or "BUTTON" in order, f"headings and switches can be reached: {order}")
    said = "document.getElementById('map-said').textContent"
    focus(page, "#map")
    page.key("ArrowRight")
    first = page.run(said)
    page.key("ArrowRight")
    second = page.run(said)
    check(first and second and first != second, f"arrow keys go from picture to picture: {first!r}, {second!r}")
    page.key("Escape")
    check(page.run("document.getElementById('tip').hidden"), "Escape closes the picture")


def has_names(page: chromium.Page) -> None:
    """What a screen reader needs: one first heading, no level left out, names of figures, headings of tables."""
    levels = page.run("[...document.querySelectorAll('h1, h2, h3')].map((h) => Number(h.tagName[1]))")
    check(levels.count(1) == 1 and levels[0] == 1, f"headings: {levels}")
    check(all(b - a <= 1 for a, b in zip(levels, levels[1:])), f"no level is left out: {levels}")
    nameless = "document.querySelectorAll('svg[role=img]:not([aria-label]), [role=img]:not([aria-label]), table:not(:has(caption))').length"
    check(page.run(nameless) == 0, "figures have names and tables captions")
    check(page.run("document.querySelectorAll('#map, [role=group]:not([aria-label])').length") == 1, "groups have names")
    check(page.run("document.querySelectorAll('[onclick], [onload], [style*=url]').length") == 0, "no code in attributes")


CHECKS: list[Callable[[chromium.Page], None]] = [
    has_names,
    sorts_by_click_and_key,
    switches_layers,
    shows_the_evidence,
    shows_thumbnails,
    is_read_by_keyboard,
]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("--screenshots", type=Path, help="write pictures of the page at three widths, light and dark")
    arguments = parser.parse_args()
    found = chromium.find()
    if not found:
        print("no browser: run `make setup-test` where npm is installed, or name one in CHROMIUM")
        return 77
    failures = []
    with chromium.Browser(*found) as browser:
        page = chromium.Page(browser)
        for one in [lambda page: fits_every_width(page, arguments.page), *CHECKS]:
            try:
                page.size(1280)
                page.scheme("light")
                if one in CHECKS:
                    page.open(arguments.page)
                one(page)
                check(page.complaints() == [], f"{page.complaints()}")
            except AssertionError as error:
                failures.append(str(error))
        if arguments.screenshots:
            arguments.screenshots.mkdir(parents=True, exist_ok=True)
            for width in WIDTHS:
                for scheme in ("light", "dark"):
                    page.size(width)
                    page.scheme(scheme)
                    page.open(arguments.page)
                    page.screenshot(arguments.screenshots / f"{width}-{scheme}.png")
    print("\n".join(failures) if failures else f"{len(CHECKS) + 1} checks passed in {found[0]}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
