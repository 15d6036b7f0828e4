"""Small, randomly initialized models of the true architecture classes, saved as folders that transformers loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FAMILIES = ("llama", "gpt2", "biogpt", "gemma2", "t5")
WINDOW = 128
CORPUS = [
    "Question: What are the symptoms of fever and cough in a child?",
    "Answer: Rest, fluids and paracetamol; see a doctor if it is no better.",
    "Abstract: BACKGROUND The trial enrolled 120 patients. RESULTS Mortality was 12% versus 18%.",
    "A. aspirin B. heparin C. warfarin D. placebo yes no maybe",
]
TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def tokenizer(chat: bool = True) -> Any:
    """A byte-level BPE tokenizer trained on CORPUS: every text encodes, and decodes to itself."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<pad>", "<eos>", "<|start|>", "<|end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        CORPUS * 4, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<eos>",
        chat_template=TEMPLATE if chat else None,
    )


def save(folder: Path, family: str, *, chat: bool = True, seed: int = 0, window: int = WINDOW, width: int = 32) -> Path:
    """Write a tiny model of `family` with its tokenizer to `folder`. NF4 wants a `width` that 64 divides."""
    import torch
    import transformers as hf

    torch.manual_seed(seed)
    words = tokenizer(chat)
    ends = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0, "vocab_size": len(words)}
    llama_like = {
        "hidden_size": width,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": window,
    }
    config = {
        "llama": lambda: hf.LlamaConfig(**llama_like, **ends),
        "gpt2": lambda: hf.GPT2Config(n_embd=width, n_layer=2, n_head=4, n_positions=window, **ends),
        "biogpt": lambda: hf.BioGptConfig(
            hidden_size=width,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=window,
            **ends,
        ),
        "gemma2": lambda: hf.Gemma2Config(
            head_dim=width // 4, sliding_window=16, query_pre_attn_scalar=width // 4, **llama_like, **ends
        ),
        "gemma3": lambda: hf.Gemma3TextConfig(
            head_dim=width // 4, sliding_window=16, query_pre_attn_scalar=width // 4, **llama_like, **ends
        ),
        "bloom": lambda: hf.BloomConfig(hidden_size=width, n_layer=2, n_head=4, **ends),
        "mamba": lambda: hf.MambaConfig(hidden_size=width, num_hidden_layers=2, state_size=4, **ends),
        "t5": lambda: hf.T5Config(
            d_model=width, d_kv=width // 4, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0, **ends
        ),
    }[family]()
    config.initializer_range = 0.3  # so that answers differ from item to item
    config.initializer_factor = 1.0
    family_class = hf.AutoModelForSeq2SeqLM if family == "t5" else hf.AutoModelForCausalLM
    model = family_class.from_config(config)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
