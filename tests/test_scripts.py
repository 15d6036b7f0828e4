"""Text metrics in scripts other than Latin: identical texts score 1; English scores as before."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from medbench.core.types import Item, Output, Record
from medbench.metrics.exact_match import EXACT_MATCH
from medbench.metrics.rouge import ROUGE1, ROUGE2, ROUGEL
from medbench.metrics.scripts import other_script, words
from medbench.metrics.token_f1 import TOKEN_F1
from rouge_score.rouge_scorer import RougeScorer

TEXTS = {
    "Chinese": "高血压的治疗包括改变生活方式和药物。",
    "Japanese": "糖尿病の治療には食事とインスリンが必要です。",
    "Korean": "고혈압의 치료에는 약물 요법이 포함됩니다.",
    "Arabic": "يشمل علاج ارتفاع ضغط الدم الأدوية.",
    "Hebrew": "הטיפול ביתר לחץ דם כולל תרופות.",
    "Thai": "การรักษาความดันโลหิตสูงรวมถึงการใช้ยา",
    "Russian": "Лечение гипертонии включает лекарства.",
    "Hindi": "उच्च रक्तचाप के उपचार में दवाएँ शामिल हैं।",
    "Greek": "Η θεραπεία της υπέρτασης περιλαμβάνει φάρμακα.",
    "Khmer": "ការព្យាបាលជំងឺលើសឈាម",
    "Georgian": "ჰიპერტენზიის მკურნალობა მოიცავს მედიკამენტებს.",
}
METRICS = (ROUGE1, ROUGE2, ROUGEL, TOKEN_F1, EXACT_MATCH)


def score(metric, answer: str, reference: str) -> float:
    (found,) = metric.score([Record(Item("i", "?", references=(reference,)), Output("i", text=answer))])
    return found.value


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_an_answer_equal_to_its_reference_scores_1(metric, text: str) -> None:
    assert score(metric, text, text) == 1.0
    assert score(metric, "entirely different", text) == 0.0


def test_words_by_hand() -> None:
    assert words("Лечение гипертонии, 5 мг") == ["лечение", "гипертонии", "5", "мг"]
    assert words("治疗5天") == ["治", "疗", "5", "天"]  # a character is a word
    assert words("การ") == ["ก", "า", "ร"]
    assert words("दवाएँ हैं") == ["दवाएँ", "हैं"]  # vowel signs belong to their word
    # 2 of 3 words shared with a reference of 4: F1 2 · 2 / (3 + 4).
    assert score(ROUGE1, "лечение гипертонии дома", "Лечение гипертонии включает лекарства") == pytest.approx(4 / 7)
    assert score(TOKEN_F1, "лечение гипертонии дома", "Лечение гипертонии включает лекарства") == pytest.approx(4 / 7)
    assert score(ROUGEL, "服用阿司匹林", "服用布洛芬") == pytest.approx(2 * 2 / (6 + 5))


def test_punctuation_and_final_sigma_do_not_matter() -> None:
    assert score(EXACT_MATCH, "答案是阿司匹林", "答案是阿司匹林。") == 1.0
    assert score(EXACT_MATCH, "ΠΌΝΟΣ", "πόνος") == 1.0


@pytest.mark.parametrize(
    "text", ["", "β blocker", "5 µg", "TNF-α", "naïve T cells", "Ménière’s disease – vertigo", "42"]
)
def test_english_with_signs_is_english(text: str) -> None:
    assert not other_script(text)


@given(st.text(st.characters(codec="ascii")), st.text(st.characters(codec="ascii")))
@example("“Naïve” β-blockers – 5 µg", "β-blockers: 5 µg daily")  # as English texts have them
@example("Give aspirin.", "Aspirin was given daily")
def test_english_scores_are_those_of_rouge_score(answer: str, reference: str) -> None:
    theirs = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True).score(reference, answer)
    for metric in (ROUGE1, ROUGE2, ROUGEL):
        assert score(metric, answer, reference) == pytest.approx(theirs[metric.name].fmeasure, abs=1e-12)
