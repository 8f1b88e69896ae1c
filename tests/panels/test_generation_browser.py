"""The browser through chains of digits, and what it does without a kernel."""

import numpy as np
import pytest
from panel_checks import check_controls, check_page

from madlab import Chain, Loop, panels
from madlab.metrics import features
from madlab.metrics.matching import nearest


def test_the_browser_shows_any_generation_and_any_picture(chains):
    browser = panels.GenerationBrowser(chains)
    check_controls(browser)
    seen = {browser.picture.value}
    browser.generation.value = 3
    seen.add(browser.picture.value)
    browser.chosen.value = 42
    seen.add(browser.picture.value)
    browser.chain.value = "fresh data"
    seen.add(browser.picture.value)
    assert len(seen) == 4
    assert "Generation 3 of 3, fresh data: 100 digits, and picture 42, a 2," in browser.alt()
    samples = chains["fresh data"].samples(3)
    share = (features.read(samples.images) == samples.labels).mean()
    assert f"{share:.0%} of 100 digits are read as their label" in browser.alt()


def test_pictures_of_a_mixture_are_matched_and_said_to_be(chains):
    chain = chains["fully synthetic"]
    browser = panels.GenerationBrowser(chain)
    assert "matched to those of generation 1" in browser.settings()
    assert "not the same noise" in browser.settings()
    strip = browser._strip(browser.chain.value)
    index = nearest(chain.preview(1), chain.samples(3))
    found = index >= 0
    assert found.sum() > 80
    assert np.array_equal(strip[2][found], chain.samples(3).images[index[found]])
    assert (strip[2][~found] == 0).all()


def test_pictures_of_a_model_that_follows_noise_are_its_previews(chains, monkeypatch):
    chain = chains["fully synthetic"]
    monkeypatch.setattr(type(chain.model), "follows_noise", True, raising=False)
    browser = panels.GenerationBrowser({"flow": chain})
    assert "come from the same noise" in browser.settings()
    assert np.array_equal(browser._strip("flow")[2], chain.preview(3).images)


def test_the_browser_falls_back_to_a_contact_sheet_of_all_generations(chains):
    browser = panels.GenerationBrowser(chains)
    page = browser._repr_mimebundle_()["text/html"]
    alt = check_page(page)
    assert "generations 1 to 3" in alt
    assert "fully synthetic and fresh data" in alt
    # A snapshot is the state at hand instead.
    assert "picture 0, a 0," in check_page(browser.snapshot().data)


def test_chains_with_nothing_to_browse_are_refused(digits, chains):
    with pytest.raises(ValueError, match="give at least one"):
        panels.GenerationBrowser({})
    with pytest.raises(ValueError, match="'new' has not run"):
        panels.GenerationBrowser(
            {"new": Chain(Loop.fully_synthetic(300), "mixture", digits, n_evaluate=100)}
        )
