"""The page as people meet it: in a browser, by the keyboard, on a phone, without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Error, Page, Request, expect

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import jobs, leases
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.roles import Role
from dicom_ai_node.spool import Spool
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import IS_CT, arrive, bright, configuration
from tests.receive.raw_scu import wait
from tests.tools import missing_tool
from tests.viewers import chromium
from tests.web.looks import FAINT, NAMELESS
from tests.web.site import Served

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def opened() -> Iterator[Page]:
    """One browser for all tests here."""
    if chromium.executable() is None:
        missing_tool("Chromium")
    with chromium.page() as page:
        page.set_default_timeout(30_000)
        yield page


@pytest.fixture
def browser(opened: Page) -> Iterator[Page]:
    """Nobody is signed in, and nothing wrong is said in its console."""
    said: list[str] = []
    asked: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):  # beside these, Chromium gives advice
            said.append(message.text)

    def fail(error: Error) -> None:
        said.append(str(error))

    def note(request: Request) -> None:
        asked.append(request.url)

    opened.context.clear_cookies()
    opened.set_viewport_size({"width": 1280, "height": 800})
    opened.on("console", hear)
    opened.on("pageerror", fail)
    opened.on("request", note)
    yield opened
    opened.goto("about:blank")
    for event, listener in (("console", hear), ("pageerror", fail), ("request", note)):
        opened.remove_listener(event, listener)  # type: ignore[arg-type]
    assert said == []
    assert {url.split("/")[2].split(":")[0] for url in asked if "://" in url} <= {"127.0.0.1"}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    results = {"also": ["summary", "key_images"]}
    peers = {"archive": {"kind": "folder", "path": str(tmp_path / "out"), "results": results}}
    route = {"model": "bright", "send_to": ["archive"], "require": [IS_CT]}
    return configuration(tmp_path, peers=peers, routes=[route])


@pytest.fixture
def went_through(config: Config, spool: Spool, database: Database, tmp_path: Path) -> Job:
    """The job of a study that took the whole road; another one crashed for good."""
    road = Road(config, spool, database, {"bright": bright(tmp_path)})
    for name, ago in (("first", 2000), ("second", 1000)):
        begun = database.now() - ago
        instances = series(name=name, shape=(6, 32, 32), patient_name="Canary^Yellow")
        arrive(spool, database, instances, now=begun)
        assert road.intake.settle_quiet(now=begun + 61)
        if name == "first":
            assert road.work() == 1
    with database.write() as connection:
        crashed = leases.claim(connection, worker="w", lease_s=60, now=database.now())
        assert crashed is not None
        leases.give_back(
            connection,
            crashed,
            error_kind="crash",
            error_text="the attempt crashed: signal 11",
            max_attempts=1,
            now=database.now(),
        )
    return road.jobs()[0]


def sign_in(browser: Page, page: Served, role: Role) -> None:
    token = page.token(role)
    browser.goto(page.url)
    expect(browser.get_by_label("Your token")).to_be_focused()
    browser.keyboard.type(token)
    browser.keyboard.press("Enter")
    expect(browser.get_by_role("heading", name="Queue")).to_be_visible()


def tab_to(browser: Page, name: str) -> None:
    """By the Tab key alone."""
    for _ in range(60):
        browser.keyboard.press("Tab")
        focused = browser.evaluate(
            "document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"
        )
        if focused == name:
            assert browser.evaluate("document.activeElement.matches(':focus-visible')")
            outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid"
            return
    raise AssertionError(f"nobody comes to {name!r} by the keyboard")


def test_signing_in_shows_the_queue(browser: Page, page: Served, went_through: Job) -> None:
    sign_in(browser, page, Role.LOOK)
    row = browser.get_by_role("row").filter(has_text="findings")
    expect(row).to_contain_text("ready")
    expect(browser.get_by_role("row").filter(has_text="signal 11")).to_contain_text("quarantined")
    expect(browser.get_by_role("button", name="Retry job 2")).to_have_count(0)
    assert "Canary" not in browser.content()


def test_a_job_is_retried_by_the_keyboard_alone(
    browser: Page, page: Served, database: Database, went_through: Job
) -> None:
    sign_in(browser, page, Role.ACT)
    browser.keyboard.press("Tab")
    expect(browser.get_by_role("link", name="Skip to the content")).to_be_focused()
    browser.keyboard.press("Enter")
    tab_to(browser, "Retry job 2")
    browser.keyboard.press("Enter")
    expect(browser.get_by_role("status")).to_contain_text("Job 2 is queued again.")
    expect(browser.get_by_role("status")).to_be_focused()
    with database.read() as connection:
        found = jobs.find(connection, 2)
    assert found is not None
    assert found.state is JobState.QUEUED


def test_the_queue_refreshes_by_itself(
    browser: Page, page: Served, database: Database, went_through: Job
) -> None:
    sign_in(browser, page, Role.LOOK)
    with database.write() as connection:
        found = jobs.find(connection, 2)
        assert found is not None
        jobs.move(connection, found, JobState.CANCELLED, now=database.now())
    expect(browser.get_by_role("row").filter(has_text="signal 11")).to_contain_text(
        "cancelled", timeout=20_000
    )


def test_without_scripts_everything_works(
    opened: Page, page: Served, database: Database, went_through: Job
) -> None:
    assert opened.context.browser is not None
    plain = opened.context.browser.new_context(java_script_enabled=False)
    try:
        browser = plain.new_page()
        browser.goto(page.url)
        browser.get_by_label("Your token").fill(page.token(Role.ACT))
        browser.get_by_role("button", name="Sign in").click()
        browser.get_by_role("button", name="Retry job 2").click()
        expect(browser.get_by_role("status")).to_contain_text("Job 2 is queued again.")
        browser.get_by_role("link", name="need a person").click()
        expect(browser.get_by_text("No job is here.")).to_be_visible()
    finally:
        plain.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(
    browser: Page, page: Served, went_through: Job, scheme: str
) -> None:
    browser.set_viewport_size(PHONE)  # type: ignore[arg-type]
    browser.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    sign_in(browser, page, Role.CONFIGURE)
    study = f"/studies/{went_through.study_id}"
    for path in ("/", "/studies", study, f"/jobs/{went_through.id}", "/peers", "/models", "/node"):
        browser.goto(f"{page.url}{path}")
        wide = browser.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], path
    browser.emulate_media(color_scheme="light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(
    browser: Page, page: Served, went_through: Job, scheme: str
) -> None:
    """Of WCAG 2.2 AA: 4.5 to 1."""
    browser.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    sign_in(browser, page, Role.CONFIGURE)
    for path in ("/", f"/studies/{went_through.study_id}", f"/jobs/{went_through.id}", "/node"):
        browser.goto(f"{page.url}{path}")
        assert browser.evaluate(FAINT) == [], path
    browser.emulate_media(color_scheme="light")


def test_every_control_has_a_name(browser: Page, page: Served, went_through: Job) -> None:
    sign_in(browser, page, Role.CONFIGURE)
    for path in ("/", f"/jobs/{went_through.id}", "/peers", "/models", "/node", "/studies"):
        browser.goto(f"{page.url}{path}")
        assert browser.evaluate(NAMELESS) == [], path
        assert browser.evaluate("document.querySelectorAll('h1').length") == 1
        assert browser.evaluate("document.documentElement.lang") == "en"


def test_pictures_are_seen_by_those_who_may_act(
    browser: Page, page: Served, went_through: Job
) -> None:
    sign_in(browser, page, Role.ACT)
    browser.goto(f"{page.url}/jobs/{went_through.id}")
    shown = browser.get_by_alt_text("Slice with the outline of the result, picture 1")
    shown.first.scroll_into_view_if_needed()
    # asked from here: the page's own policy forbids what the browser would have to evaluate
    width = "document.querySelector('.pictures img').naturalWidth"
    wait(lambda: browser.evaluate(width) > 400)
    browser.context.clear_cookies()
    sign_in(browser, page, Role.LOOK)
    browser.goto(f"{page.url}/jobs/{went_through.id}")
    expect(
        browser.get_by_text("Images of patients are shown to those who may act.")
    ).to_be_visible()
    expect(browser.locator("img")).to_have_count(0)


def test_a_timeline_is_drawn_and_told(browser: Page, page: Served, went_through: Job) -> None:
    sign_in(browser, page, Role.ACT)
    browser.get_by_role("link", name="Studies").click()
    browser.get_by_role("link", name=f"study {went_through.study_id}", exact=True).click()
    lane = browser.get_by_role("img", name=f"job {went_through.id}: queued")
    box = lane.bounding_box()
    assert box is not None
    assert box["width"] > 600
    widths = browser.evaluate(
        "[...document.querySelectorAll('.bar')].map(b => +b.getAttribute('width'))"
    )
    assert all(width > 0 for width in widths)
    assert len(widths) >= 6


def test_no_file_of_the_page_names_another_place() -> None:
    """So that it works where there is no network."""
    folder = Path("dicom_ai_node/web")
    files = [*folder.glob("static/*"), *folder.glob("templates/*")]
    assert len(files) > 10
    for file in files:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, file
        assert "https://" not in text, file
        assert "@import" not in text, file
