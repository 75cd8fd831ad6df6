"""Coordinates worked out by hand, markup that hostile text cannot break, figures at the edges of their units."""

import random
import re

import pytest

from nanochat.charts import (Series, change_chart, el, escape, format_bytes, format_count, format_duration,
                             format_energy, format_money, format_percent, interval_chart, line_chart, smooth, thin,
                             ticks)


def test_children_and_attributes_are_escaped_and_elements_are_not():
    assert el("p", "a < b & c", el("b", '"x"'), None, [1, "&"], class_='"><script>') == (
        '<p class="&quot;&gt;&lt;script&gt;">a &lt; b &amp; c<b>&quot;x&quot;</b>1&amp;</p>')


def test_joined_markup_is_text_again_and_is_escaped():
    assert el("p", el("b", "x") + "<i>") == "<p>&lt;b&gt;x&lt;/b&gt;&lt;i&gt;</p>"


def test_characters_that_no_html_file_may_hold_are_replaced():
    text = escape("a\x00b\x1bc\x85d\ud800e\n\tf")
    assert text == "a\ufffdb\ufffdc\ufffdd\ufffde\n\tf"
    text.encode()


@pytest.mark.parametrize("value, text", [(0, "0"), (0.25, "0.25"), (42, "42"), (999, "999"), (999.6, "1k"),
                                         (4096, "4.1k"), (3_670_016, "3.67M"), (999_600, "1M"), (1.5e9, "1.5B"),
                                         (-2500, "-2.5k")])
def test_counts_have_three_figures_and_the_next_unit_in_time(value, text):
    assert format_count(value) == text


@pytest.mark.parametrize("seconds, text", [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"),
                                           (59.6, "1 min 0 s"), (552, "9 min 12 s"), (3183, "53 min"), (3599.7, "1.0 h"),
                                           (5400, "1.5 h"), (360_000, "100 h")])
def test_durations_carry_over_into_the_next_unit(seconds, text):
    assert format_duration(seconds) == text


def test_bytes_and_percentages():
    assert format_bytes(1.5 * 2**30) == "1.50 GiB" and format_bytes(300 * 2**20) == "300 MiB"
    assert [format_percent(share) for share in (0, 0.5, 0.9449, 1)] == ["0%", "50%", "94.5%", "100%"]


@pytest.mark.parametrize("usd, text", [(0, "< 0.1 cent"), (0.0099, "0.99 cents"), (0.01, "1 cent"),
                                       (0.0124, "1.2 cents"), (0.994, "99 cents"), (0.996, "$1.00"), (9.5, "$9.50"),
                                       (1234.4, "$1,234")])
def test_money_is_cents_below_a_dollar(usd, text):
    assert format_money(usd) == text


@pytest.mark.parametrize("kwh, text", [(0.00206, "2.1 Wh"), (0.456, "460 Wh"), (0.999, "1 kWh"), (12.34, "12 kWh"),
                                       (12345, "12,000 kWh")])
def test_energy_has_two_figures(kwh, text):
    assert format_energy(kwh) == text


def test_ticks_of_worked_ranges():
    assert ticks(0, 870) == [0, 200, 400, 600, 800, 1000]
    assert ticks(2, 4) == [2, 2.5, 3, 3.5, 4]
    assert ticks(-3, 7) == [-4, -2, 0, 2, 4, 6, 8]
    assert ticks(5, 5) == pytest.approx([4.4, 4.6, 4.8, 5, 5.2, 5.4, 5.6])


def test_ticks_surround_any_range_evenly_and_are_few():
    rng = random.Random(0)
    for _ in range(500):
        low = rng.uniform(-1, 1) * 10 ** rng.randint(-6, 9)
        high = low + rng.random() * 10 ** rng.randint(-6, 9)
        found = ticks(low, high)
        step = found[1] - found[0]
        assert found[0] <= low + step * 1e-6 and high - step * 1e-6 <= found[-1]
        assert 2 <= len(found) <= 8 and f"{step:.0e}"[0] in "125"
        assert all(b - a == pytest.approx(step) for a, b in zip(found, found[1:]))


def test_two_points_land_where_the_axes_say():
    """y axis 2 to 4 over 150 units from 26 down to 176; x axis 0 to 100 over 316 units from 36 to 352."""
    curve = Series("line", [(0, 4), (50, 2.5), (100, 2)])
    chart = line_chart([curve], x_label="steps", y_label="loss", rules=[(3, "goal")])
    assert '<path d="M36.0,26.0L194.0,138.5L352.0,176.0" class="line"></path>' in chart
    assert '<line x1="36" x2="352" y1="101.0" y2="101.0" class="rule"></line>' in chart
    assert [float(x) for x in re.findall(r'x="([\d.]+)" y="192"', chart)] == [36, 99.2, 162.4, 225.6, 288.8, 352]
    assert re.findall(r">([\w.]+)</text>", chart) == [
        "loss", "steps", "2", "2.5", "3", "3.5", "4", "0", "20", "40", "60", "80", "100", "goal"]


def test_a_curve_of_one_point_or_one_value_is_drawn_inside_the_axes():
    for points in ([(0, 0)], [(1, 3.5)], [(1, 2), (2, 2)]):
        chart = line_chart([Series("dots", points)], x_label="steps", y_label="loss")
        assert chart.count("<circle") == len(points)
        for cx, cy in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', chart):
            assert 36 <= float(cx) <= 352 and 26 <= float(cy) <= 176


def test_a_curve_of_zeros_stands_at_the_foot_of_the_axis_it_was_promised():
    """RL that earned nothing was drawn in the middle of an axis from -0.6 to 0.6."""
    chart = line_chart([Series("line", [(0, 0), (1, 0)])], x_label="steps", y_label="reward", including=(0, 1))
    assert '<path d="M36.0,176.0L352.0,176.0"' in chart


def test_an_interval_is_drawn_from_its_low_to_its_high_end():
    """Shares run over 266 units from 78 to 344; with two stages a row is 32 high, its second dot 21 below its top."""
    skills = {"facts": {"sft": {"accuracy": 0.5, "ci95": [0.25, 0.75], "n": 8}},
              "letters": {"rl": {"accuracy": 1.0, "ci95": [0.5, 1.0], "n": 4}}}
    chart = interval_chart(skills, ["sft", "rl"])
    assert '<line x1="144.5" x2="277.5" y1="15.0" y2="15.0" class="interval sft"></line>' in chart
    assert 'cx="344.0" cy="57.0"' in chart and 'viewBox="0 0 360 90.0"' in chart


def test_a_change_is_drawn_around_its_line_of_nothing():
    """-10 to 20 points over 266 units from 78 to 344: nothing at 166.7, +10 at 255.3."""
    change = {"difference": 0.1, "ci95": [-0.1, 0.2], "since": "sft", "p": 0.5}
    chart = change_chart({"facts": {"sft": {}, "rl": {"change": change}}}, ["rl"])
    assert '<line x1="166.7" x2="166.7" y1="4" y2="26.0" class="zero"></line>' in chart
    assert '<line x1="78.0" x2="344.0" y1="15.0" y2="15.0" class="interval rl"></line>' in chart
    assert 'cx="255.3"' in chart and chart.count("<circle") == 1 and "facts, rl since sft: +10.0 points" in chart
    assert re.findall(r">([+-]?\d+)</text>", chart) == ["-10", "0", "+10", "+20"]


def test_thinning_keeps_short_curves_and_means_of_long_ones():
    short = [(i, i * i) for i in range(240)]
    assert thin(short) == short
    assert thin([(1, 10), (2, 20), (3, 60), (4, 80), (5, 7)], most=3) == [(1.5, 15), (3.5, 70), (5, 7)]
    assert len(thin([(i, 0) for i in range(100_001)])) <= 240


def test_smoothing_does_not_lag_behind_a_straight_line():
    line = [(i, 3 * i) for i in range(80)]
    assert smooth(line)[2:-2] == line[2:-2] and len(smooth(line)) == 80
    assert smooth([(0, 1), (1, 5)]) == [(0, 1), (1, 5)]
