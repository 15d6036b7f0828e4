"""The splitter of reasoning and answer: every known format, with the right parts beside it."""

import pytest
from medbench.core.reasoning import Split, continued, is_mark, split

R, A = "Perhaps A?\n\nNo: not A.", "The answer is B."

# A text -> its reasoning is R, its answer is A.
FORMATS = {
    "think": f"<think>\n{R}\n</think>\n\n{A}",
    "upper case": f"<THINK>{R}</THINK>{A}",
    "thinking": f"<thinking>{R}</thinking>\n{A}",
    "analysis": f"<analysis>{R}</analysis>\n{A}",
    "reasoning": f"<reasoning>{R}</reasoning>\n{A}",
    "scratchpad": f"<scratchpad>{R}</scratchpad>\n{A}",
    "Seed-OSS": f"<seed:think>{R}</seed:think>{A}",
    "MiniMax": f"<mm:think>{R}</mm:think>{A}",
    "reason": f"<reason>{R}</reason>{A}",
    "reflection": f"<reflection>{R}</reflection>{A}",
    "EXAONE": f"<thought>\n{R}\n</thought>\n\n{A}",
    "Magistral": f"[THINK]{R}[/THINK]{A}",
    "Kimi-VL": f"◁think▷{R}◁/think▷{A}",
    "gpt-oss": f"<|channel|>analysis<|message|>{R}<|end|><|start|>assistant<|channel|>final<|message|>{A}<|return|>",
    "gpt-oss, first message opened by the prompt": f"{R}<|end|><|start|>assistant<|channel|>final<|message|>{A}",
    "gpt-oss without <|start|> and <|end|>": (
        f"<|channel|>analysis<|message|>{R}assistant<|channel|>final<|message|>{A}"
    ),
    "gpt-oss without its special tokens": f"analysis{R}assistantfinal{A}",
    "Cohere": f"<|START_THINKING|>{R}<|END_THINKING|><|START_RESPONSE|>{A}<|END_RESPONSE|>",
    "MedGemma": f"<unused94>thought\n{R}<unused95>{A}",
    "Gemma 4": f"<|channel>thought\n{R}<channel|>{A}",
    "OpenThinker": (
        f"<|begin_of_thought|>{R}<|end_of_thought|>\n\n<|begin_of_solution|>{A}<|end_of_solution|>"
    ),
    "HuatuoGPT-o1": f"## Thinking\n\n{R}\n\n## Final Response\n\n{A}",
    "opened by the chat template": f"{R}\n</think>\n\n{A}",
    "R1-Zero": f"<think>{R}</think>\n<answer>{A}</answer>",
    "mismatched tags": f"<think>{R}</thinking>{A}",
    "LongCat": f"<longcat_think>\n{R}\n</longcat_think>\n{A}",
    "attributes": f'<think time="3">{R}</think>{A}',
    "inner monologue": f"<inner_monologue>{R}</inner_monologue>{A}",
    "thinking process": f"<thinking_process>{R}</thinking_process>{A}",
    "rationale": f"<rationale>{R}</rationale>{A}",
    "chain of thought": f"<cot>{R}</cot>{A}",
    "tokens with start and end": f"<|think_start|>{R}<|think_end|>{A}",
    "tokens with a slash": f"<|thinking|>{R}<|/thinking|>{A}",
    "wide bars": f"<｜think｜>{R}<｜/think｜>{A}",
    "square brackets": f"[REASONING]{R}[/REASONING]{A}",
    "braces": f"{{think}}{R}{{/think}}{A}",
    "escaped for HTML": f"&lt;think&gt;{R}&lt;/think&gt;{A}",
    "Open WebUI": f'<details type="reasoning" done="true">\n{R}\n</details>\n{A}',
    "GLM": f"<think>{R}</think><answer><|begin_of_box|>{A}<|end_of_box|></answer>",
    "Granite 3.2": f"Here is my thought process:\n\n{R}\n\nHere is my response:\n\n{A}",
    "Apriel": f"Here are my reasoning steps:\n{R}\n[BEGIN FINAL RESPONSE]\n{A}\n[END FINAL RESPONSE]",
    "Apriel, first line written by the prompt": f"{R}\n[BEGIN FINAL RESPONSE]\n{A}",
    "m1": f"<|im_start|>think\n{R}\n<|im_start|>answer\n{A}",
    "m1 without its special tokens": f"think\n{R}\nanswer\n{A}",
    "headings in bold": f"**Thinking:**\n{R}\n\n**Final Answer:**\n{A}",
    "a heading of reasoning": f"### Reasoning\n{R}\n\n### Final Answer\n{A}",
    "a word and a colon": f"Thought process: {R}\n\nFinal answer: {A}",
    "a block of code": f"```thinking\n{R}\n```\n{A}",
}  # fmt: skip


@pytest.mark.parametrize("text", FORMATS.values(), ids=FORMATS)
def test_reasoning_and_answer_come_apart(text: str) -> None:
    assert split(text) == Split(R, A, closed=True)


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{R}",
        f"  \n<seed:think>\n{R}",
        f"[THINK]{R}",
        f"<|channel|>analysis<|message|>{R}",
        f"<|channel|>analysis<|message|>{R}<|end|><|start|>assistant",
        f"analysis{R}",
        f"<unused94>thought\n{R}",
        f"<|START_THINKING|>{R}",
        f"## Thinking\n\n{R}",
    ],
)
def test_an_unclosed_block_gives_no_answer(text: str) -> None:
    assert split(text) == Split(R, "", closed=False)


def test_a_prompt_that_opens_the_reasoning() -> None:
    """The text starts inside it, so without a closing mark all of it is reasoning."""
    opened = "<|im_start|>assistant\n<think>\n"
    assert split(continued(opened, R)) == Split(R, "", closed=False)
    assert split(continued(opened, f"{R}</think>{A}")) == Split(R, A)
    assert split(continued(opened, f"<think>{R}</think>{A}")) == Split(R, A)  # the model opened it once more
    assert split(continued("[INST]…[/INST][THINK]", R)) == Split(R, "", closed=False)


@pytest.mark.parametrize(
    "prompt", ["", "Question: what is <think> for?\nAnswer:", "<|im_start|>assistant\n<think>\n\n</think>\n\n"]
)
def test_a_prompt_that_opens_nothing(prompt: str) -> None:
    assert continued(prompt, A) == A  # the last of them turned thinking off


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Split("", "")),
        (f"\n\n{A}\n", Split("", A)),
        (f"<think>\n\n</think>\n\n{A}", Split("", A)),  # an empty block
        (f"<think>a</think>{A}\n<think>b</think>\nSo B.", Split("a\n\nb", f"{A}\n\nSo B.")),  # several blocks
        ("<think>a<think>b</think>c</think>B", Split("a<think>b\n\nc", "B")),  # one in another
        ("<thinking>a<reflection>r</reflection>c</thinking>B", Split("a<reflection>r</reflection>c", "B")),
        ("<think>the tag `</think>` ends it</think>B", Split("the tag `</think>` ends it", "B")),
        ("B\n<think>\nbut perhaps", Split("but perhaps", "B", closed=False)),
        ("<seed:think>Answer: A</seed:think>B", Split("Answer: A", "B")),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=functions.x "
            "<|constrain|>json<|message|>{}<|call|><|start|>assistant<|channel|>final<|message|>B",
            Split("a\n\n{}", "B"),
        ),
        ('<|channel|>final <|constrain|>json<|message|>{"answer": "B"}<|return|>', Split("", '{"answer": "B"}')),
    ],
)
def test_blocks_empty_several_and_nested(text: str, expected: Split) -> None:
    assert split(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The model writes <think> tags before its answer.",
        "Wrap it in <think> and </think>, then answer.",
        'The "<think>" and "</think>" marks are stripped.',
        "`<think>…</think>` holds the reasoning.",
        "Example:\n```xml\n<think>\nplan\n</think>\n```\nThat is all.",
        "analysis of variance showed no difference",
        "Analysis: the ECG shows ST elevation. Answer: B",
        "<answer>B</answer>",  # a field, not reasoning
        "### Answer\nB\n### Thinking\nA is wrong.",
        "## Reasoning\nA is wrong.\nSo B.",  # a heading of the answer: nothing ends the reasoning
        "Here is my reasoning: A is wrong. So B.",
        "[Reasoning] A is wrong.\n[Answer] B",
        "Thinking: A is wrong. The answer is B.",
        "<reason for visit: cough>",
        "<details><summary>More</summary>A is wrong.</details> B",
    ],
)
def test_what_only_mentions_a_mark_stays(text: str) -> None:
    assert split(text) == Split("", text)


@pytest.mark.parametrize("text", list(FORMATS.values()))
def test_an_answer_that_was_split_off_is_not_split_again(text: str) -> None:
    assert split(split(text).answer) == Split("", A)


def test_special_tokens_that_decoding_must_keep() -> None:
    for token in ("[THINK]", "[/THINK]", "<|START_THINKING|>", "<|channel|>", "<|message|>", "<unused95>", "<think>"):
        assert is_mark(token), token
    for token in ("<|im_end|>", "<|end|>", "<s>", "<pad>", "<|eot_id|>", "thinking"):
        assert not is_mark(token), token


@pytest.mark.parametrize(
    "piece",
    [
        "<think>",
        "</think>",
        "a <think>",
        "<think> \t",
        "#",
        "\n",
        "analysis",
        "assistantfinal",
        "<answer>",
        "```",
        "**Thinking**\n",
        "[/REASONING]",
        "Here is my ",
        "&lt;think",
        "<think a=",
        "think\n",
        "answer\n",
    ],
)
def test_hostile_repetition_is_read_in_one_pass(piece: str) -> None:
    """200,000 repetitions: seconds at most here, hours if any pattern were quadratic."""
    split(piece * 200_000)
