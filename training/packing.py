"""Test whether a model keeps the rows of a packed batch separate."""

from __future__ import annotations

from typing import Any

ROW = 8  # tokens of each of the two test rows


def packing_fault(model: Any) -> str:
    """Return why `model` must not be trained on packed rows; "" if it may.

    When TRL packs two rows, the second must not depend on the first. Flash attention gets the row boundaries. With
    eager and SDPA attention it depends on whether the architecture passes the positions to its mask. So this tests the
    model: the gradient of the second row's logits with respect to the first row must be exactly zero.
    """
    import torch
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    tokens = list(range(2 * ROW))
    collator = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    batch = collator([{"input_ids": tokens, "labels": tokens, "seq_lengths": [ROW, ROW]}])
    batch = {name: value.to(model.device) if torch.is_tensor(value) else value for name, value in batch.items()}
    del batch["labels"]
    with torch.enable_grad():
        embedded = model.get_input_embeddings()(batch.pop("input_ids")).detach().requires_grad_()
        logits = model(inputs_embeds=embedded, use_cache=False, **batch).logits
        (gradient,) = torch.autograd.grad(logits[0, ROW:].float().sum(), embedded)
    if not gradient[0, :ROW].any():
        return ""
    attention = model.config._attn_implementation
    return f"{model.config.model_type} models with {attention} attention let packed examples see each other."
