import numpy as np

from madlab.streams import derive, generator


def test_streams_are_named_and_stable():
    # Golden values: a change of these renames and re-draws everything that was ever stored.
    assert derive(0) == 3456079177858693020
    assert derive(7, 3, "fit") == derive(7, 3, "fit")
    assert len({derive(s, t, p) for s in range(5) for t in range(5) for p in ("fit", "x")}) == 50
    assert derive(1, 11, "fit") != derive(11, 1, "fit")


def test_rows_do_not_depend_on_how_many_are_drawn_at_once():
    whole = generator(5, "noise").standard_normal((100, 7), dtype=np.float32)
    parts = generator(5, "noise")
    pieces = [parts.standard_normal((k, 7), dtype=np.float32) for k in (1, 13, 86)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))


def test_streams_are_independent():
    a = generator(5, 1, "training").standard_normal(20_000)
    b = generator(5, 2, "training").standard_normal(20_000)
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(20_000)
