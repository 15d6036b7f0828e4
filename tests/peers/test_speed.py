"""The speed script's own judgement: its arithmetic and what it calls a difference. No peer is needed here."""

from __future__ import annotations

import json

import pytest
import speed
from speed import Difference, Result, Shape, Workload
from timed import Answer, Response, Row, Timing, read_rows, warm_up, write_rows


def choices(*options: float | None, item: str = "7") -> list[Answer]:
    return [Answer(item, "Q\nAnswer:", options, tokens=10)]


def run(seconds: float, tokens: int = 10, text: str = "", peak: float = 0.0) -> Response:
    facts = {"peak_flops": peak} if peak else {}
    return Response([Timing(8, seconds, 2 * seconds, 10**9)], [Answer("7", "Q", text=text, tokens=tokens)], 1.0, facts)


def result(method: str = "choose", differences: tuple[Difference, ...] = ()) -> Result:
    workload = Workload("zero-shot", "zero-shot choice", method, (Row("7", "medqa", "Q", "Q"),), ("lm-eval",))
    ours, theirs = [run(1.0, 10, peak=2000.0), run(2.0, 10, peak=2000.0)], [run(3.0, 30), run(4.0, 30)]
    return Result(workload, "lm-eval", 8, ours, theirs, list(differences))


def test_the_ratio_is_of_the_medians_and_its_spread_of_runs_side_by_side():
    # medians 6 / 2; pairs 4/2, 6/1, 9/3
    assert speed.ratios([4.0, 6.0, 9.0], [2.0, 1.0, 3.0]) == (3.0, 2.0, 6.0)


def test_flops_of_three_tokens_written_out():
    shape = Shape(body=100, layers=2, attention_width=5, hidden=7, vocabulary=11)
    weights = 2 * 100 * 3
    attention = 2 * (1 + 2 + 3) * (2 * 5 + 2 * 5)  # layers, pairs, score and value of each
    assert speed.flops(shape, 3) == weights + attention + 2 * 7 * 11


def test_the_shape_of_smollm2_135m_is_read_off_its_configuration(tmp_path):
    config = {"hidden_size": 576, "num_attention_heads": 9, "head_dim": 64, "num_hidden_layers": 30}
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 49152, "tie_word_embeddings": True}))

    assert speed.shape_of(str(tmp_path), 134_515_008) == Shape(106_203_456, 30, 576, 576, 49152)


def test_the_share_of_the_peak_counts_every_prompt_in_full():
    shape = Shape(body=50, layers=0, attention_width=0, hidden=0, vocabulary=0)
    # 10 tokens at 2 × 50 FLOP in 1 s and in 2 s, at a peak of 2,000 FLOP/s
    assert speed.peak_shares(result().ours, shape) == [(1000.0, 2000.0, 0.5), (500.0, 2000.0, 0.25)]


def test_the_same_choice_from_other_numbers_is_no_difference():
    assert speed.differing_choices(choices(-1.0, -2.0), choices(-1.5, -1.6)) == []


def test_another_choice_hangs_on_the_larger_lead():
    (found,) = speed.differing_choices(choices(-1.0, -1.25), choices(-1.5, -1.0))

    assert (found.item, found.ours, found.theirs, found.gap) == ("7", "option 0", "option 1", 0.5)


def test_an_option_without_a_number_is_the_less_likely_one():
    assert speed.differing_choices(choices(-1.0, -2.0), choices(-1.0, None)) == []
    (found,) = speed.differing_choices(choices(-1.0, -2.0), choices(None, -2.0))
    assert found.gap == float("inf")


def test_an_item_without_any_number_is_no_answer_and_no_difference():
    assert speed.differing_choices(choices(-1.0, -2.0), choices(None, None)) == []


def test_texts_differ_by_more_than_the_space_around_them():
    ours = [Answer("1", "Q", text="Rest."), Answer("2", "Q", text="Rest.")]
    theirs = [Answer("1", "Q", text=" Rest.\n"), Answer("2", "Q", text="Rest and drink.")]

    assert [(our.id, their.id) for our, their in speed.differing_texts(ours, theirs)] == [("2", "2")]


def test_a_line_of_the_table():
    close, far = Difference("7", "a", "b", 1e-4), Difference("8", "a", "b", 0.5)
    last = speed.table([result(differences=(close, far))], rounding=1e-3, cuda=False).splitlines()[-1]

    # medians 1.5 s and 3.5 s; pairs 3/1 and 4/2; 10 prompt tokens on both sides; 1 GB; 2 differ, 1 beyond rounding
    assert last == (
        "| zero-shot choice | lm-eval | 1 | 8 | 1.5 | 3.5 | **2.33** (2.00–3.00) | 2.33 (2.00–3.00) "
        "| 7 / 3 | 1.00 / 1.00 | 2 | 1 |"
    )


def test_where_text_is_written_each_side_counts_its_own_tokens():
    written = result("generate")

    assert speed.throughput(written, written.ours) == pytest.approx(10 / 1.5)
    assert speed.throughput(written, written.theirs) == pytest.approx(30 / 3.5)


def test_differences_are_told_with_what_they_hang_on():
    found = result(differences=(Difference("7", "option 0", "option 1", 0.5),))
    found.other_prompts = 2

    prompts, difference = speed.told([found], rounding=1e-3)
    assert prompts == "zero-shot choice, lm-eval: 2 prompts differ."
    assert difference.endswith("option 0 here, option 1 there; it depends on 5.0e-01 nats (beyond rounding).")


def test_a_section_is_replaced_and_what_is_around_it_stays():
    text = "# Page\n\n## Peers\n\nold\n\n## After\n\nkept\n"

    assert speed.with_section(text, "Peers", "new") == "# Page\n\n## Peers\n\nnew\n\n## After\n\nkept\n"


def test_a_section_that_is_not_there_comes_last():
    assert speed.with_section("# Page\n\nkept\n", "Peers", "new") == "# Page\n\nkept\n\n## Peers\n\nnew\n"
    assert speed.with_section("", "Peers", "new") == "## Peers\n\nnew\n"
    assert speed.with_section("## Peers\n\nold\n", "Peers", "new") == "## Peers\n\nnew\n"


def test_rows_come_back_as_they_were_written_and_warm_ups_share_nothing_with_them(tmp_path):
    rows = [Row("7", "medqa", "Q\u2028\nAnswer:", "Q", ("A", "B"), 1)]

    assert read_rows(write_rows(rows, tmp_path / "rows.jsonl")) == rows
    (warm,) = warm_up(rows)
    assert warm.options == ("A", "B")
    assert warm.prompt.startswith("Question: 0 The patient rests")
